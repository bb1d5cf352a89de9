//! The ledger: one line for each write that a server acknowledged.
//!
//! A line is written after the acknowledgement, never before: the ledger may know too little (the process was killed
//! in between), never too much. Lines are appended with one write each, so that a killed process leaves whole ones.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, read_dir, read_to_string},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

/// One acknowledged write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the acknowledgement came.
    pub at: String,
    /// The order's id.
    pub order: String,
    /// The server that acknowledged it: `host:port/database`.
    pub server: String,
    /// Who was logged in.
    pub user: String,
}

/// Why the ledger cannot be written or read.
#[derive(thiserror::Error, Debug)]
pub enum LedgerError {
    /// A file cannot be used.
    #[error("the ledger {path} cannot be used")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A whole line that is no entry.
    #[error("the ledger {path}: line {line} is no entry")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// The ledger of this pod.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
}

impl Ledger {
    /// Opens `<dir>/<pod>.jsonl` to append to.
    pub fn open(dir: &Path, pod: &str) -> Result<Self, LedgerError> {
        let path = dir.join(format!("{pod}.jsonl"));
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(file) => Ok(Self { path, file: Mutex::new(file) }),
            Err(source) => Err(LedgerError::File { path, source }),
        }
    }

    /// Appends a line. It is with the kernel when this returns, so it outlives the process.
    pub fn append(&self, entry: &Entry) -> Result<(), LedgerError> {
        let write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            // A file has no buffer of its own here: nothing is left to flush.
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&line)
        };
        write().map_err(|source| LedgerError::File { path: self.path.clone(), source })
    }
}

/// The acknowledged orders of all pods, by the server that acknowledged them.
pub fn read_all(dir: &Path) -> Result<BTreeMap<String, Vec<String>>, LedgerError> {
    let failed = |path: &Path, source| LedgerError::File { path: path.to_owned(), source };
    let mut orders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in read_dir(dir).map_err(|error| failed(dir, error))? {
        let path = file.map_err(|error| failed(dir, error))?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = read_to_string(&path).map_err(|error| failed(&path, error))?;
            for entry in parse(&path, &text)? {
                orders.entry(entry.server).or_default().push(entry.order);
            }
        }
    }
    Ok(orders)
}

/// A last line without its end is being written, or never was to its end; it is not counted.
fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, LedgerError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line)
                .map_err(|_| LedgerError::Line { path: path.to_owned(), line: index + 1 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(order: &str) -> String {
        let entry = Entry {
            at: "2026-01-01T00:00:00Z".to_owned(),
            order: order.to_owned(),
            server: "db:5432/shop".to_owned(),
            user: "shop".to_owned(),
        };
        serde_json::to_string(&entry).unwrap()
    }

    #[test]
    fn a_line_without_its_end_is_not_counted() {
        let (one, two) = (line("a-1"), line("a-2"));
        let torn = format!("{one}\n{}", &two[..10]);
        let entries = parse(Path::new("a.jsonl"), &torn).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].order, "a-1");
        assert!(parse(Path::new("a.jsonl"), "").unwrap().is_empty());
    }

    #[test]
    fn a_whole_line_that_is_no_entry_is_an_error() {
        let text = format!("{}\nnonsense\n", line("a-1"));
        let error = parse(Path::new("a.jsonl"), &text).unwrap_err();
        assert!(matches!(error, LedgerError::Line { line: 2, .. }), "{error}");
    }
}
