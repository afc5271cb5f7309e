//! A choice that is asked for: what forbids it, and the confirm link that is mailed.

use std::time::Duration;

use posthouse_hook::{ForwardPath, Id, IdMaker, Language, Timestamp};
use rusqlite::{Connection, params};

use super::{ensure_sender, line, objection};
use crate::caps::{self, Cap};
use crate::model::{Actor, Address, Asked, Objection, RecipientChoice, Wish};
use crate::{addresses, audit, errands};

/// How long a confirm link can be used, from the writing of its mail.
pub(crate) const CONFIRM: Duration = Duration::from_secs(7 * 86_400);
/// Confirm letters that one owner can cause in a day.
const PER_OWNER_DAILY: u32 = 3;
/// Confirm letters about redirects that one target can get in a week.
const PER_TARGET_WEEKLY: u32 = 1;
/// Confirm letters in an hour, in all.
const TOTAL_HOURLY: u32 = 200;
const WEEK: i64 = 7 * 24;
/// How long the undo link of a notice can be used; the owner's page can undo at any time.
pub(crate) const UNDO: Duration = Duration::from_secs(30 * 86_400);

/// Who asks, from where and when, and what new rows are called.
pub(crate) struct Asking<'a> {
    pub(crate) by: &'a Actor,
    pub(crate) language: Option<Language>,
    pub(crate) ids: &'a IdMaker,
    pub(crate) now: Timestamp,
}

/// Has the confirm link of a choice mailed, if nothing forbids it.
pub(crate) fn ask(db: &Connection, wish: &Wish, asking: &Asking<'_>) -> rusqlite::Result<Asked> {
    let Some(plan) = plan(db, wish)? else {
        return Ok(Asked::Refused(Objection::NoAddress));
    };
    if let Some(objection) = forbidden(db, &plan, asking.now)? {
        return Ok(Asked::Refused(objection));
    }
    let subject = match wish {
        Wish::Recipient(id, _) => *id,
        Wish::Sender(address, _) => ensure_sender(db, address, asking.ids.next(asking.now))?,
    };
    let pending = plan.insert(db, subject, CONFIRM, asking)?;
    errands::add(db, "confirm", pending, &plan.mailed, asking)?;
    audit::append(
        db,
        &line(asking.now, subject, "asked", plan.choice, &plan.mailed),
        asking.by,
    )?;
    Ok(Asked::Mailed(plan.mailed))
}

/// A wish as the ledger will know it.
struct Plan {
    party: &'static str,
    owner: String,
    choice: &'static str,
    target: Option<ForwardPath>,
    mailed: String,
}

/// `None` if nobody could be written to.
fn plan(db: &Connection, wish: &Wish) -> rusqlite::Result<Option<Plan>> {
    let (party, owner, choice, target) = match wish {
        Wish::Sender(address, choice) => {
            ("sender", address.to_ascii_lowercase(), choice.name(), None)
        }
        Wish::Recipient(id, choice) => {
            let Some(row) = addresses::by_id(db, *id)? else {
                return Ok(None);
            };
            let target = choice.target().cloned();
            ("recipient", row.address.address, choice.name(), target)
        }
    };
    let mailed = target.as_ref().map_or(owner.clone(), ForwardPath::address);
    let writable = ForwardPath::from_address(&mailed).is_ok_and(|to| to.mailbox().is_some());
    Ok(writable.then_some(Plan {
        party,
        owner,
        choice,
        target,
        mailed,
    }))
}

/// What forbids the plan; if nothing does, it is counted.
fn forbidden(db: &Connection, plan: &Plan, now: Timestamp) -> rusqlite::Result<Option<Objection>> {
    if let Some(target) = &plan.target
        && let Some(objection) = objection(db, &plan.owner, target)?
    {
        return Ok(Some(objection));
    }
    let caps = plan.caps();
    let reached = caps::reached(db, &caps, now)?;
    if reached.is_none() {
        caps::count(db, &caps, now)?;
    }
    Ok(reached.map(|cap| match cap {
        "owner" => Objection::OwnerCap,
        "target" => Objection::TargetCap,
        _ => Objection::TotalCap,
    }))
}

impl Plan {
    fn caps(&self) -> Vec<Cap> {
        let owner = format!("confirm by {}", self.owner);
        let mut caps = vec![
            Cap::new("owner", owner, 24, PER_OWNER_DAILY),
            Cap::new("total", "confirm".to_owned(), 1, TOTAL_HOURLY),
        ];
        if let Some(target) = &self.target {
            let key = format!("confirm to {}", target.key());
            caps.push(Cap::new("target", key, WEEK, PER_TARGET_WEEKLY));
        }
        caps
    }

    fn insert(
        &self,
        db: &Connection,
        subject: Id,
        lasts: Duration,
        asking: &Asking<'_>,
    ) -> rusqlite::Result<Id> {
        let id = asking.ids.next(asking.now);
        db.prepare_cached(
            "INSERT INTO pending (id, party, subject, choice, target, mailed, made_at, ends_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            id.0,
            self.party,
            subject.0,
            self.choice,
            self.target.as_ref().map(ForwardPath::address),
            self.mailed,
            asking.now.0,
            asking.now.after(lasts).0,
        ])?;
        Ok(id)
    }
}

/// The owner of a redirect is told that it is in force, with a link that ends it.
pub(super) fn tell_owner(
    db: &Connection,
    owner: &Address,
    choice: &RecipientChoice,
    asking: &Asking<'_>,
) -> rusqlite::Result<()> {
    if choice.target().is_none() {
        return Ok(());
    }
    let undo = Plan {
        party: "recipient",
        owner: owner.address.clone(),
        choice: RecipientChoice::Hold.name(),
        target: None,
        mailed: owner.address.clone(),
    };
    let pending = undo.insert(db, owner.id, UNDO, asking)?;
    errands::add(db, "notice", pending, &undo.mailed, asking)
}
