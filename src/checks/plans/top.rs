//! The statements that legacy spent most of its time on, from `pg_stat_statements`.

use tokio_postgres::types::Type;

use super::statement::Statement;
use crate::checks::{Trouble, reading::Reading};

/// Longest statement that is planned, in characters.
const MAX_STATEMENT: usize = 65_536;
/// What PostgreSQL has in the place of a text that the role may not see.
const HIDDEN: &str = "<insufficient privilege>";

/// Statements, and how many were passed over because there is nothing to plan about them.
pub(super) struct Top {
    pub(super) statements: Vec<Statement>,
    pub(super) skipped: usize,
}

/// The first `wanted` statements that can be planned, by total time.
pub(super) async fn ask(legacy: &Reading, wanted: i32) -> Result<Top, Trouble> {
    let view = view(legacy).await?;
    let statement = format!(
        "SELECT left(s.query, {}) FROM {} s \
         WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
         GROUP BY s.query ORDER BY sum(s.{}) DESC LIMIT $1",
        MAX_STATEMENT + 1,
        view.name,
        view.time
    );
    let limit = i64::from(wanted) * 5 + 100;
    let rows = legacy.rows(&statement, &[(&limit, Type::INT8)]).await.map_err(|trouble| {
        trouble.about("pg_stat_statements can't be read on legacy; is it in shared_preload_libraries?")
    })?;
    let mut top = Top { statements: Vec::new(), skipped: 0 };
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
        let statement = Statement::of_statistics(text);
        if statement.is_planned() && statement.sql.chars().count() <= MAX_STATEMENT {
            top.statements.push(statement);
        } else {
            top.skipped += 1;
        }
    }
    Ok(top)
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
