//! A message that is gone, judged again by the facts that were kept of it. The same functions decide
//! as for a message that comes in; only DNS for the rows is asked, and nothing is done.

use posthouse_hook::facts::{Looked, Scans};
use posthouse_hook::{Column, Outcome, Scan, Scanned, Session, Step, Transaction, Verdict};
use posthouse_store::{Became, Judged};

use super::answer::{Answer, SpamWhen, answer};
use super::decide::{Decision, decide};
use super::facts::Facts;
use super::rows::Placed;
use super::{HeldBefore, Quarantine, Reason};

/// What the quarantine would come to.
pub(crate) struct Again {
    pub(crate) column: Column,
    /// For each recipient, in order.
    pub(crate) rows: Vec<Placed>,
    /// None where it would have been scanned, and was not.
    pub(crate) outcome: Option<Outcome>,
}

impl Quarantine {
    /// Judges again. `tx` has the recipients that would have been taken, and no message.
    pub(crate) async fn again(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        judged: &Judged,
    ) -> Again {
        let found = (judged.origin, judged.spf);
        let facts = Facts::recorded(self, session, tx, found).await;
        let outcome = self.outcome_again(session, tx, &facts, judged).await;
        Again {
            column: facts.column,
            rows: facts.rows,
            outcome,
        }
    }

    async fn outcome_again(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        facts: &Facts,
        judged: &Judged,
    ) -> Option<Outcome> {
        let Some(reason) = self.reason_again(facts, judged) else {
            return Some(Outcome::decide(Verdict::Pass, tx.dispositions()));
        };
        let answer = self.answer_again(judged)?;
        let (unscanned, rows) = (self.unscanned(reason), facts.known_rows());
        let decision = decide(&answer, unscanned, rows, facts.column);
        let held = HeldBefore::WasPast(recipients_were_told(judged));
        // Only the ledger's count can fail, and it is not asked.
        let decision = self
            .as_chosen(session, tx, facts, decision, (&answer, held))
            .await
            .unwrap_or_else(|error| Decision::Defer(error.to_string()));
        let verdict = self.carry_out(session, tx, facts, decision, &answer);
        Some(Outcome::decide(verdict, tx.dispositions()))
    }

    /// Whether it would be scanned. What was picked as one in N, or passed for a link that it quotes,
    /// is taken to be so again: that takes the message.
    fn reason_again(&self, facts: &Facts, judged: &Judged) -> Option<Reason> {
        let settings = &self.settings;
        if facts.scan_matters(settings.scan_vouched) {
            return (judged.looked != Looked::QuotesLink).then_some(Reason::Matters);
        }
        let picked = settings.scan_one_in.is_some() && judged.looked == Looked::Asked;
        (self.asks_for(facts) || picked).then_some(Reason::Asked)
    }

    /// What the scanners that would be asked said, under the limits that they have now; none if one
    /// whose word is missing could decide.
    fn answer_again(&self, judged: &Judged) -> Option<Answer> {
        let steps = self.settings.scan.steps();
        // Two scanners of one name ran in this order.
        let mut kept: Vec<&Scan> = judged.scans.iter().collect();
        let again = |step: &Step| {
            let at = kept.iter().position(|scan| scan.scanner == step.name)?;
            step.plugin.judge_again(kept.remove(at))
        };
        let scans: Vec<_> = steps.iter().map(again).collect();
        let all_known = scans.iter().all(Option::is_some);
        let known = Scans(scans.into_iter().flatten().collect());
        let spam_when = self.settings.spam_when;
        let found = |what: &Scanned| known.0.iter().any(|scan| scan.found == *what);
        let decided = match spam_when {
            SpamWhen::Any => found(&Scanned::Spam),
            SpamWhen::All => found(&Scanned::Clean),
        };
        (all_known || decided).then(|| answer(&known, spam_when))
    }
}

/// A sender that is vouched for and heard no refusal of what was held was past the threshold. What
/// could not be scanned is judged without it.
fn recipients_were_told(judged: &Judged) -> bool {
    let held = judged.to.iter().any(|copy| copy.became == Became::Held);
    held && matches!(judged.column, Column::Vouched(_)) && judged.code < 300
}
