//! What the demo prints: a table of what became of each message, and the links.

use super::cases::{Case, Seen};
use crate::out::{out, outln};
use crate::table::table;

/// Prints a row for each message.
pub(super) fn print_table(rows: &[(&Case, Seen)]) {
    let heading = [
        "FROM",
        "TO",
        "CELL",
        "THE CLIENT WAS TOLD",
        "HELD",
        "REACHED",
        "LETTER",
        "",
    ];
    let cells: Vec<_> = rows.iter().map(|(case, seen)| row(case, seen)).collect();
    out!("{}", table(heading, &cells));
}

fn row(case: &Case, seen: &Seen) -> [String; 8] {
    let judged = match case.is_met(seen) {
        true => "as the matrix says",
        false => "WRONG",
    };
    [
        case.from.to_owned(),
        case.to.to_owned(),
        case.cell.to_owned(),
        seen.first_words(),
        yes(seen.held),
        yes(seen.reached),
        yes(seen.letters),
        judged.to_owned(),
    ]
}

fn yes(count: usize) -> String {
    if count == 0 { "-" } else { "yes" }.to_owned()
}

/// Prints where a browser can go on.
pub(super) fn print_links(rows: &[(&Case, Seen)]) {
    outln!("\nLinks:");
    for (case, seen) in rows {
        if let Some(link) = seen.release_link() {
            outln!("  release, for {}: {link}", case.from);
        }
        if let Some(link) = &seen.letter_link {
            outln!("  what is held, for {}: {link}", case.to);
        }
    }
}
