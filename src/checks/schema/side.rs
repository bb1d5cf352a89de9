//! One side's catalogs, read.
//!
//! Decides the frame of every statement: which schemas and objects are the application's (not PostgreSQL's own, not an
//! extension's), and how roles are called, so that equal set-ups under different names read equal. A few statements a
//! side, each over all schemas at once.

use std::ops::Range;

use futures::TryStreamExt;
use tokio_postgres::types::Type;

use super::{
    family::{Object, Property},
    text::{Form, Value},
};
use crate::{
    checks::{
        Asking,
        reading::{Parameter, Reading},
        trouble::Trouble,
    },
    postgres::Target,
};

/// Most bytes of the answer to one statement: some 300,000 columns.
const BYTE_BUDGET: u64 = 64 << 20;

/// What every statement begins with. `$1` is the schemas that were asked about, none for all.
///
/// `who` names a role by what it is where its name is a matter of the server: the one that the application works as
/// and the one that the server was made with. Quoted names can't be taken for those. Owning the database makes a role
/// `pg_database_owner`.
const FRAME: &str = "
WITH ns AS MATERIALIZED (
  SELECT n.oid, quote_ident(n.nspname) AS name, n.nspowner, n.nspacl FROM pg_namespace n
  WHERE CASE WHEN cardinality($1::text[]) = 0 THEN n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ELSE n.nspname = ANY ($1::text[]) END
), extension AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), role AS MATERIALIZED (
  SELECT r.oid, CASE WHEN o.rolname = current_user THEN 'the application''s role'
    WHEN o.oid = 10 THEN 'the bootstrap superuser' ELSE quote_ident(o.rolname) END AS who
  FROM pg_roles r JOIN pg_roles o ON o.oid = CASE WHEN r.rolname = 'pg_database_owner'
    THEN (SELECT datdba FROM pg_database WHERE datname = current_database()) ELSE r.oid END
  UNION ALL SELECT 0, 'PUBLIC'
), rel AS MATERIALIZED (
  SELECT c.oid, c.relkind, c.relname, c.relowner, c.relacl, ns.name || '.' || quote_ident(c.relname) AS name
  FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
)
";

/// The major versions that a statement must suit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versions {
    /// That of the side that is asked.
    pub(super) own: i32,
    /// The older one.
    pub(super) older: i32,
}

impl Versions {
    /// `expression` where the side knows it; else `otherwise`.
    pub(super) fn since<'a>(self, major: i32, expression: &'a str, otherwise: &'a str) -> &'a str {
        if self.own >= major { expression } else { otherwise }
    }
}

/// One side.
pub(super) struct Side<'a> {
    /// `legacy` or `candidate`.
    pub(super) name: &'static str,
    pub(super) reading: Reading,
    pub(super) major: i32,
    schemas: &'a [String],
}

impl<'a> Side<'a> {
    pub(super) async fn begin(
        name: &'static str,
        asking: &Asking<'_>,
        target: &Target,
        schemas: &'a [String],
    ) -> Result<Self, Trouble> {
        let about = |trouble: Trouble| trouble.about(name);
        let reading = Reading::begin(asking, target, BYTE_BUDGET).await.map_err(about)?;
        let session = reading.session();
        let major = session.facts().major_version();
        let major = major.ok_or_else(|| about(Trouble::error("the server does not tell its version")))?;
        // The planner can't estimate the frame's parts: it would compile cheap plans, and loop over them for each row.
        let settings = "SET LOCAL jit = off; SET LOCAL enable_nestloop = off";
        let settings = session.client().batch_execute(settings).await;
        settings.map_err(|error| about(session.explain(&error).into()))?;
        Ok(Self { name, reading, major, schemas })
    }

    /// The rows of `statement`, which begins where [`FRAME`] ends: each of one object's name, its parent and its
    /// properties, all of them text; `spare` columns follow that only the family's own rule reads.
    pub(super) async fn objects(
        &self,
        statement: &str,
        properties: &[Property],
        parents: Option<&[String]>,
    ) -> Result<Vec<Object>, Trouble> {
        let forms: Vec<Form> = properties.iter().map(|property| property.form).collect();
        let read = |row: &tokio_postgres::Row| {
            let text = |index: usize| row.try_get::<_, Option<&str>>(index);
            let columns: Range<usize> = 2..row.len();
            Ok(Object {
                name: text(0)?.unwrap_or_default().into(),
                parent: text(1)?.map(Into::into),
                values: columns
                    .map(|index| {
                        let form = forms.get(index - 2).copied().unwrap_or(Form::Shown);
                        Ok(text(index)?.map(|text| Value::read(form, text)))
                    })
                    .collect::<Result<_, tokio_postgres::Error>>()?,
            })
        };
        self.read(statement, parents, read).await
    }

    /// Lets go of every lock, and of the moment that was seen.
    pub(super) async fn let_go(&self) -> Result<(), Trouble> {
        self.reading.again().await.map_err(|trouble| trouble.about(self.name))
    }

    /// The one column of `statement`.
    pub(super) async fn texts(&self, statement: &str) -> Result<Vec<String>, Trouble> {
        self.read(statement, None, |row| row.try_get(0)).await
    }

    /// The rows of `statement`, each read as it comes; `$2` is `parents` where they are given.
    pub(super) async fn read<T>(
        &self,
        statement: &str,
        parents: Option<&[String]>,
        read: impl Fn(&tokio_postgres::Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, Trouble> {
        let statement = format!("{FRAME}{statement}");
        let about = |trouble: Trouble| trouble.about(self.name);
        let mut parameters: Vec<Parameter<'_>> = vec![(&self.schemas, Type::TEXT_ARRAY)];
        parameters.extend(parents.as_ref().map(|parents| -> Parameter<'_> { (parents, Type::TEXT_ARRAY) }));
        let mut rows = self.reading.stream(&statement, &parameters).await.map_err(about)?;
        let mut answer = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(about)? {
            let fault = |error: tokio_postgres::Error| about(self.reading.session().explain(&error).into());
            answer.push(read(&row).map_err(fault)?);
        }
        Ok(answer)
    }
}
