//! The statements that legacy spent most of its time on, from `pg_stat_statements`.
//!
//! To plan a statement is to evaluate its immutable functions, with the rights of who asks. A superuser asks for its own
//! statements only, so that nobody else's functions get its rights.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::{Source, statement::Statement};
use crate::checks::{Trouble, reading::Reading};

/// Longest statement that is planned, in characters.
const MAX_STATEMENT: usize = 65_536;
/// What PostgreSQL has in the place of a text that the role may not see.
const HIDDEN: &str = "<insufficient privilege>";

/// The first `wanted` statements that can be planned, by total time.
pub(super) async fn ask(legacy: &Reading, candidate: &Reading, wanted: i32) -> Result<Source, Trouble> {
    let view = view(legacy).await?;
    let (on_legacy, on_candidate) = tokio::try_join!(is_superuser(legacy), is_superuser(candidate))?;
    let only_own = on_legacy || on_candidate;
    let whose = if only_own {
        "AND s.userid = (SELECT r.oid FROM pg_roles r WHERE r.rolname = session_user)"
    } else {
        ""
    };
    let statement = format!(
        "SELECT left(s.query, {}) FROM {} s \
         WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) {whose} \
         GROUP BY s.query ORDER BY sum(s.{}) DESC LIMIT $1",
        MAX_STATEMENT + 1,
        view.name,
        view.time
    );
    let limit = i64::from(wanted) * 5 + 100;
    let rows = legacy.rows(&statement, &[(&limit, Type::INT8)]).await.map_err(|trouble| {
        trouble.about("pg_stat_statements can't be read on legacy; is it in shared_preload_libraries?")
    })?;
    let name = if only_own { "the superuser's own part of pg_stat_statements" } else { "pg_stat_statements" };
    let mut top = Source { name, statements: Vec::new(), passed_over: 0 };
    let mut objects = BTreeSet::new();
    for row in rows {
        if top.statements.len() >= usize::try_from(wanted).unwrap_or(0) {
            break;
        }
        let text: String = row.try_get::<_, Option<String>>(0).ok().flatten().unwrap_or_default();
        if text == HIDDEN {
            return Err(Trouble::error(
                "legacy hides statements of other roles that are among the top: GRANT pg_read_all_stats TO the role of \
                 the connection",
            ));
        }
        let mut statement = Statement::of_statistics(text);
        // Such as the one above, of an earlier check: the candidate need not have the extension.
        let is_about_itself = statement.lexed.words.contains("pg_stat_statements");
        let is_short = statement.sql.chars().count() <= MAX_STATEMENT;
        if statement.is_planned() && is_short && !is_about_itself {
            statement.object = unique(&mut objects, statement.object);
            top.statements.push(statement);
        } else {
            top.passed_over += 1;
        }
    }
    Ok(top)
}

/// The name; with a number if there is such a one: what is masked may be all that tells two statements apart.
fn unique(objects: &mut BTreeSet<String>, object: String) -> String {
    let numbered = (2..).map(|number| format!("{object} ({number})"));
    let free = std::iter::once(object.clone()).chain(numbered).find(|name| !objects.contains(name));
    let free = free.unwrap_or(object);
    objects.insert(free.clone());
    free
}

async fn is_superuser(side: &Reading) -> Result<bool, Trouble> {
    let rows = side.rows("SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user", &[]).await?;
    // A role that can't be seen is taken for one.
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(true))
}

struct View {
    name: String,
    time: &'static str,
}

/// Where the extension is, in whatever schema, and what its version calls the time.
async fn view(legacy: &Reading) -> Result<View, Trouble> {
    let statement = "SELECT quote_ident(n.nspname) || '.pg_stat_statements', \
         EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
           WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements' AND a.attname = 'total_exec_time') \
         FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
    let rows = legacy.rows(statement, &[]).await?;
    let view = rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?)));
    let (name, has_exec_time) = view.ok_or_else(|| {
        Trouble::error(
            "legacy's database has no pg_stat_statements: CREATE EXTENSION pg_stat_statements, or name a traffic model",
        )
    })?;
    Ok(View { name, time: if has_exec_time { "total_exec_time" } else { "total_time" } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_statements_have_the_same_name() {
        let mut objects = BTreeSet::new();
        let names = ["a", "b", "a", "a"].map(|name| unique(&mut objects, name.to_owned()));
        assert_eq!(names, ["a", "b", "a (2)", "a (3)"]);
    }
}
