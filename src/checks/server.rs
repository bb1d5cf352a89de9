//! Do the two servers behave alike?
//!
//! Decides what about a server would make the application notice that it is another one: versions, encoding and
//! locale, collation versions, extensions, settings (those that the application's own session would get), limits, and
//! what stands before it. Each side is asked once, in one statement, and the answers are compared without a server.
//!
//! Never changes a setting, also not to find out about a pooler; never shows a value of a setting that it does not know.

use super::{Answer, Asking, Finding, FindingKind, Trouble, shown::shown};
use crate::api::ServerCheck;

mod extensions;
mod facts;
mod hosting;
mod locale;
mod pooling;
mod role_settings;
mod settings;
mod version;

use facts::Facts;

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    version::MAJOR_LOWER,
    version::MAJOR_HIGHER,
    version::MINOR_LOWER,
    version::READ_ONLY,
    locale::ENCODING,
    locale::LOCALE,
    locale::STALE,
    locale::VERSION_DIFFERS,
    locale::VERSION_UNKNOWN,
    extensions::MISSING,
    extensions::OLDER,
    extensions::NEWER,
    extensions::DIFFERS,
    settings::RESULT,
    settings::PLAN,
    settings::LIMIT,
    settings::SERVICE,
    settings::ONE_SIDED,
    settings::HIDDEN,
    settings::CONNECTIONS,
    settings::LIBRARY,
    role_settings::MISSING,
    role_settings::DIFFERS,
    hosting::REFUSED,
    hosting::HOSTING,
];

pub(super) async fn ask(question: &ServerCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let candidate = asking.candidate()?;
    let (legacy, candidate) = tokio::join!(
        facts::read(asking, asking.legacy()?, "legacy"),
        facts::read(asking, candidate, "candidate")
    );
    let (legacy, candidate) = (legacy?, candidate?);
    let found = compare(&legacy, &candidate, &question.ignore_settings);
    let compared = format!(
        "PostgreSQL {} and {}, {} settings, {} extensions",
        shown(&legacy.version),
        shown(&candidate.version),
        legacy.settings.len(),
        legacy.extensions.len()
    );
    Ok(asking.conclude(found, &compared))
}

fn compare(legacy: &Facts, candidate: &Facts, ignored: &[String]) -> Vec<Finding> {
    let mut found = version::compare(legacy, candidate);
    found.extend(locale::compare(legacy, candidate));
    found.extend(extensions::compare(legacy, candidate));
    found.extend(settings::compare(legacy, candidate, ignored));
    found.extend(role_settings::compare(legacy, candidate, ignored));
    found.extend(hosting::compare(legacy, candidate));
    found
}
