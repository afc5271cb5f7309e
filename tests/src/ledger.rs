//! The ledger's file as anybody with a key to the machine could read it: by Python's sqlite3, so
//! that no room of the program is asked what it did. A test never changes it while a server runs.

use std::path::Path;
use std::process::Command;

use crate::proc::{require, run};

const DUMP: &str = r#"
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=30)
db.execute("BEGIN")
names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
for (table,) in db.execute(names).fetchall():
    seen = "WHERE event <> 'viewed'" if table == "audit" else ""
    rows = db.execute(f'SELECT * FROM "{table}" {seen}').fetchall()
    for row in sorted(map(repr, rows)):
        print(table, row)
"#;

const CHANGE: &str = r#"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
db.executescript(sys.argv[2])
"#;

/// Every row of every table, one a line, but for the audit's notes that a page was looked at.
pub fn dump(ledger: &Path) -> String {
    run(python(DUMP).arg(ledger))
}

/// Lines that stand in one dump and not in the other, with a sign in front.
pub fn differences(before: &str, after: &str) -> Vec<String> {
    let only = |these: &str, those: &str, sign: char| {
        let those: std::collections::HashSet<_> = those.lines().collect();
        let these = these.lines().filter(|line| !those.contains(line));
        these
            .map(|line| format!("{sign} {line}"))
            .collect::<Vec<_>>()
    };
    [only(before, after, '-'), only(after, before, '+')].concat()
}

/// Rows of a table.
pub fn count(dump: &str, table: &str) -> usize {
    let start = format!("{table} (");
    dump.lines().filter(|line| line.starts_with(&start)).count()
}

/// Rewrites rows while no server has the ledger: how a test lets days pass for a real server, whose
/// clock is the machine's.
pub fn change(ledger: &Path, sql: &str) {
    run(python(CHANGE).arg(ledger).arg(sql));
}

fn python(program: &str) -> Command {
    let mut command = Command::new(require("python3", "python3"));
    command.arg("-c").arg(program);
    command
}
