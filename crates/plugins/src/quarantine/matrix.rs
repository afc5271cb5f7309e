//! The decision matrix: what becomes of a message that the scan calls spam. Pure: facts in, a
//! decision out; it looks nothing up and does nothing.

use std::fmt;

use posthouse_hook::{Column, Disposition, Row, Why};

use self::{Copy::*, Letter::*, Told::*};

/// One cell: what becomes of the copy, what the client is told, whether a letter goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell(pub(super) Copy, pub(super) Told, pub(super) Letter);

/// What becomes of a recipient's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    Hold,
    Relay,
}

/// What the client is told. The column alone decides it: a transaction has one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The refusal with the release link.
    Refused,
    /// 250, as if nothing had happened.
    Accepted,
    /// A refusal without a link: somebody's standing choice keeps nothing.
    Turned,
}

/// Whether the recipient is written to. The row alone decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letter {
    Write,
    NoLetter,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell(copy, told, letter) = self;
        f.write_str(match copy {
            Hold => "hold",
            Relay => "let through",
        })?;
        f.write_str(match told {
            Refused => ", refuse",
            Accepted => ", accept",
            Turned => ", refuse without holding",
        })?;
        f.write_str(match letter {
            Write => ", letter",
            NoLetter => ", no letter",
        })
    }
}

/// The matrix.
pub(super) fn cell(row: Row, column: Column) -> Cell {
    match (row, column) {
        (Row::Filtered, Column::Vouched(_)) => Cell(Hold, Refused, Write),
        (Row::Filtered, Column::NotVouched) => Cell(Hold, Accepted, Write),
        (Row::Other, Column::Vouched(_)) => Cell(Hold, Refused, NoLetter),
        (Row::Other, Column::NotVouched) => Cell(Relay, Accepted, NoLetter),
    }
}

/// Why the matrix is applied: each makes a [`Why`] of a row.
pub(super) type Cause = fn(Row) -> Why;

/// A disposition for each recipient, in order, and what the client is told.
pub(super) fn dispose(cause: Cause, rows: &[Row], column: Column) -> (Told, Vec<Disposition>) {
    let cells: Vec<Cell> = rows.iter().map(|row| cell(*row, column)).collect();
    let told = cells.first().map_or(Accepted, |Cell(_, told, _)| *told);
    let dispositions = rows
        .iter()
        .zip(cells)
        .map(|(row, Cell(copy, ..))| match copy {
            Hold => Disposition::Hold(cause(*row)),
            Relay => Disposition::Relay,
        });
    (told, dispositions.collect())
}

/// Whether the matrix would do anything to a copy in this cell if the message were spam.
pub(super) fn could_act(row: Row, column: Column) -> bool {
    cell(row, column).0 == Hold
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Vouched;

    use super::*;

    const ROWS: [Row; 2] = [Row::Filtered, Row::Other];
    const COLUMNS: [Column; 5] = [
        Column::Vouched(Vouched::Spf),
        Column::Vouched(Vouched::OursAuthenticated),
        Column::Vouched(Vouched::OursNetwork),
        Column::Vouched(Vouched::OursSpfNotFail),
        Column::NotVouched,
    ];

    #[test]
    fn the_column_alone_decides_the_reply() {
        for column in COLUMNS {
            let told = ROWS.map(|row| cell(row, column).1);
            assert_eq!(told[0], told[1], "{column:?}");
            let vouched = matches!(column, Column::Vouched(_));
            assert_eq!(told[0] == Refused, vouched, "{column:?}");
        }
    }

    #[test]
    fn the_row_alone_decides_the_letter() {
        for row in ROWS {
            for column in COLUMNS {
                let wanted = if row == Row::Filtered {
                    Write
                } else {
                    NoLetter
                };
                assert_eq!(cell(row, column).2, wanted, "{row:?} {column:?}");
            }
        }
    }

    /// A refusal relays nothing, and only the fourth cell lets spam through.
    #[test]
    fn only_the_fourth_cell_relays() {
        for row in ROWS {
            for column in COLUMNS {
                let fourth = (row, column) == (Row::Other, Column::NotVouched);
                assert_eq!(could_act(row, column), !fourth, "{row:?} {column:?}");
            }
        }
    }

    /// Every mix of up to three recipients, in every column, for both causes.
    #[test]
    fn each_recipient_gets_its_own_disposition() {
        let mixes = (0..8_u8).map(|bits| [0, 1, 2].map(|at| ROWS[usize::from(bits >> at & 1)]));
        for rows in mixes {
            for column in COLUMNS {
                for cause in [Why::Spam as Cause, Why::Unscanned as Cause] {
                    let (told, got) = dispose(cause, &rows, column);
                    let want = rows.map(|row| match (row, column) {
                        (Row::Other, Column::NotVouched) => Disposition::Relay,
                        (row, _) => Disposition::Hold(cause(row)),
                    });
                    assert_eq!(got, want, "{rows:?} {column:?}");
                    assert_eq!(told == Refused, column != Column::NotVouched);
                }
            }
        }
    }
}
