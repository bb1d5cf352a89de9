//! Who logs in.
//!
//! Decides which roles are refused: superusers, and members of the roles that can run programs or touch files on the
//! server. A read-only transaction is not a sandbox for them (CloudNativePG CVE-2026-44477), so checks and load log in
//! as the application's own role or not at all. It is `session_user` that counts: `SET ROLE` can be undone.
//! Never changes role, and never asks for more privileges than a login needs.

/// Whom a session may log in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Roles {
    /// Only a role that a read-only transaction confines. What the operator uses: its specs come from anybody who may
    /// write a rollout.
    #[default]
    Ordinary,
    /// Anyone: a person asks at the command line, with a login of their own.
    Any,
}

/// Why a role is refused. Names no role but PostgreSQL's own.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum RoleError {
    /// `rolsuper`.
    #[error(
        "the connection logs in as a superuser, who could leave a read-only transaction; \
         use the application's own role, without SUPERUSER"
    )]
    Superuser,
    /// A member of a role that reaches beyond the database.
    #[error(
        "the connection logs in as a member of {0}, which reaches the server's files or programs; \
         use the application's own role, without that membership"
    )]
    Reaches(&'static str),
}

/// The roles that reach beyond the database.
const REACHING: [&str; 3] = ["pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"];

/// Selects `rolsuper` and the comma-separated [`REACHING`] roles that `session_user` is a member of. Every name and
/// operator is qualified: the session's `search_path` is the application's and could shadow them.
pub(super) const ROLE_COLUMNS: &str = "\
    (SELECT me.rolsuper FROM pg_catalog.pg_roles me \
      WHERE me.rolname OPERATOR(pg_catalog.=) session_user::pg_catalog.name), \
    (SELECT pg_catalog.string_agg(r.rolname::pg_catalog.text, ',') FROM pg_catalog.pg_roles r \
      WHERE r.rolname OPERATOR(pg_catalog.=) ANY (ARRAY['pg_execute_server_program', 'pg_read_server_files', \
        'pg_write_server_files']::pg_catalog.name[]) \
      AND pg_catalog.pg_has_role(session_user::pg_catalog.name, r.oid, 'MEMBER'))";

/// Judges the values of [`ROLE_COLUMNS`], in PostgreSQL's text form.
pub(super) fn judge(rolsuper: Option<&str>, memberships: Option<&str>) -> Result<(), RoleError> {
    // No answer is not "no": a role that can't be seen in pg_roles is refused like a superuser.
    if rolsuper != Some("f") {
        return Err(RoleError::Superuser);
    }
    let memberships = memberships.unwrap_or("");
    match REACHING.into_iter().find(|role| memberships.split(',').any(|member| member == *role)) {
        Some(role) => Err(RoleError::Reaches(role)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ordinary_role_is_let_in() {
        assert_eq!(judge(Some("f"), None), Ok(()));
        assert_eq!(judge(Some("t"), None), Err(RoleError::Superuser));
        assert_eq!(judge(None, None), Err(RoleError::Superuser));
        for role in REACHING {
            assert_eq!(judge(Some("f"), Some(&format!("x,{role}"))), Err(RoleError::Reaches(role)));
        }
    }

    #[test]
    fn the_query_asks_for_every_reaching_role() {
        assert!(REACHING.iter().all(|role| ROLE_COLUMNS.contains(role)));
    }
}
