//! The deeds: dispositions, the verdict, the note, and what the trail and the log are told.

use posthouse_hook::facts::{RelayedUnscanned, Scans};
use posthouse_hook::{Disposition, Judgement, Refusal, Row, Session, Transaction, Verdict};

use super::Quarantine;
use super::answer::Answer;
use super::decide::Decision;
use super::facts::Facts;
use super::matrix::{Told, cell};

/// Recipients whose cell is told one by one in the trail.
const MAX_SHOWN: usize = 20;

impl Facts {
    /// Leaves what was found as the transaction's note. A row that is not known is noted as the
    /// other one: nothing is held then.
    pub(super) fn note(
        &self,
        tx: &mut Transaction,
        scans: Scans,
        spam: bool,
        identity: Option<[u8; 32]>,
    ) {
        let rows = self
            .rows
            .iter()
            .map(|row| row.clone().unwrap_or(Row::Other));
        tx.notes.put(Judgement {
            sender: self.sender.clone(),
            origin: self.walk.origin,
            spf: self.spf,
            ours: self.ours,
            column: self.column,
            rows: rows.collect(),
            scans,
            identity,
            spam,
        });
    }
}

impl Quarantine {
    /// Carries out a decision. What an earlier plugin disposed of stays as it is.
    pub(super) fn carry_out(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        facts: &Facts,
        decision: Decision,
        answer: &Answer,
    ) -> Verdict {
        match decision {
            Decision::Relay => {
                session.remark("clean");
                Verdict::Pass
            }
            Decision::RelayUnscanned(why) => {
                tracing::warn!(session = %session.id, transaction = %tx.id, %why, "relayed unscanned");
                session.remark(format_args!("relayed unscanned: {why}"));
                tx.notes.put(RelayedUnscanned);
                Verdict::Pass
            }
            Decision::Defer(why) => {
                session.remark(format_args!("deferred: {why}"));
                Verdict::Refuse(Refusal::local_error())
            }
            Decision::Dispose { told, dispositions } => {
                remark_cells(session, tx, facts, answer);
                set(tx, dispositions);
                self.verdict(told, answer)
            }
        }
    }

    fn verdict(&self, told: Told, answer: &Answer) -> Verdict {
        match (told, answer) {
            (Told::Accepted, _) => Verdict::Pass,
            (Told::Turned, _) => Verdict::Refuse(self.settings.turned_refusal.clone()),
            (Told::Refused, Answer::Unscanned(_)) => {
                Verdict::Refuse(self.settings.unscanned_refusal.clone())
            }
            (Told::Refused, _) => Verdict::Refuse(self.settings.refusal.clone()),
        }
    }
}

fn set(tx: &mut Transaction, dispositions: Vec<Disposition>) {
    for (recipient, disposition) in tx.recipients.iter_mut().zip(dispositions) {
        if recipient.disposition == Disposition::Relay {
            recipient.disposition = disposition;
        }
    }
}

fn name(row: Row) -> &'static str {
    match row {
        Row::Filtered => "filtered",
        Row::Other => "other",
    }
}

/// Each recipient's row and cell.
fn remark_cells(session: &mut Session, tx: &Transaction, facts: &Facts, answer: &Answer) {
    match answer {
        Answer::Unscanned(why) => session.remark(format_args!("not scanned, so held: {why}")),
        _ => session.remark("spam"),
    }
    let placed = tx.recipients.iter().zip(&facts.rows);
    for (recipient, row) in placed.take(MAX_SHOWN) {
        if let Ok(row) = row {
            let cell = cell(*row, facts.column);
            session.remark(format_args!(
                "{} {}: {cell}",
                recipient.forward_path,
                name(*row)
            ));
        }
    }
    if tx.recipients.len() > MAX_SHOWN {
        let more = tx.recipients.len() - MAX_SHOWN;
        session.remark(format_args!("and {more} recipients more"));
    }
}
