//! Plain tables for people: columns as wide as their widest cell.

/// Lays out rows under a heading. Control characters are made visible: a peer's words cannot move
/// the cursor.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let clean = |cell: &str| posthouse_hook::trail::visible(cell);
    let heading = heading.map(str::to_owned);
    let rows: Vec<[String; N]> = std::iter::once(&heading)
        .chain(rows)
        .map(|row| row.each_ref().map(|cell| clean(cell)))
        .collect();
    let width = |n: usize| {
        rows.iter()
            .map(|row| row[n].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// A moment in UTC, to the second.
pub(crate) fn moment(at: posthouse_hook::Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis())
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_hostile_cells_stay_in_theirs() {
        let rows = [["1".to_owned(), "a\n\u{1b}[2J".to_owned()]];
        assert_eq!(
            table(["id", "x"], &rows),
            "id  x\n1   a\u{fffd}\u{fffd}[2J\n"
        );
    }
}
