//! Choices that wait for their confirm link, and what its use does.

use posthouse_hook::{Id, Link, LinkKey, LinkKind, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::asking::{Asking, tell_owner};
use super::{line, objection, read_choice, sender_by_id, set_recipient, set_sender};
use crate::model::{Actor, Confirmed, Objection, Owner, Pending, RecipientChoice, SenderChoice};
use crate::{addresses, audit};

const PENDING: &str = "id, party, subject, choice, target, mailed, made_at, ends_at, done_at";

/// Rows of choices that their owner asked for and that were not confirmed. The undo link of a notice
/// is none of them: nobody waits for it.
const WAITS: &str = "done_at IS NULL AND choice <> 'hold' AND ends_at > ?2";

/// A choice that waits or is made, while its link can be used.
pub(crate) fn pending(
    db: &Connection,
    id: Id,
    now: Timestamp,
) -> rusqlite::Result<Option<Pending>> {
    let raw = db
        .prepare_cached(&format!(
            "SELECT {PENDING} FROM pending WHERE id = ?1 AND ends_at > ?2"
        ))?
        .query_row([id.0, now.0], RawPending::of)
        .optional()?;
    raw.map_or(Ok(None), |raw| raw.whole(db))
}

/// The choice of an owner that waits for its confirm link, the newest if there are several.
pub(crate) fn waiting(
    db: &Connection,
    owner: Id,
    now: Timestamp,
) -> rusqlite::Result<Option<Pending>> {
    let raw = db
        .prepare_cached(&format!(
            "SELECT {PENDING} FROM pending WHERE subject = ?1 AND {WAITS}
             ORDER BY made_at DESC, id DESC LIMIT 1"
        ))?
        .query_row([owner.0, now.0], RawPending::of)
        .optional()?;
    raw.map_or(Ok(None), |raw| raw.whole(db))
}

/// Ends the confirm links of an owner that were not used.
pub(crate) fn withdraw(
    db: &Connection,
    owner: Id,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let ended = db
        .prepare_cached(&format!(
            "UPDATE pending SET ends_at = ?2 WHERE subject = ?1 AND {WAITS}"
        ))?
        .execute([owner.0, now.0])?;
    drop_errands(db, owner, now)?;
    match ended {
        0 => Ok(()),
        _ => audit::append(db, &line(now, owner, "withdrawn", "", ""), by),
    }
}

/// Ends every unused link about the choices of an owner, undo links included: another choice is in
/// force now, and no old letter may change it.
pub(super) fn supersede(
    db: &Connection,
    owner: Id,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    withdraw(db, owner, by, now)?;
    db.prepare_cached(
        "UPDATE pending SET ends_at = ?2 WHERE subject = ?1 AND done_at IS NULL AND ends_at > ?2",
    )?
    .execute([owner.0, now.0])?;
    drop_errands(db, owner, now)
}

/// No mail is written any more about links that are used or ended.
fn drop_errands(db: &Connection, owner: Id, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM errand WHERE what IN ('confirm', 'notice') AND subject IN (
           SELECT id FROM pending
           WHERE subject = ?1 AND (done_at IS NOT NULL OR ends_at <= ?2))",
    )?
    .execute([owner.0, now.0])?;
    Ok(())
}

/// A choice about which a mail is still to be written: its link ends so long after the writing.
pub(crate) fn unwritten(
    db: &Connection,
    id: Id,
    until: Timestamp,
) -> rusqlite::Result<Option<Pending>> {
    let raw = db
        .prepare_cached(&format!("SELECT {PENDING} FROM pending WHERE id = ?1"))?
        .query_row([id.0], RawPending::of)
        .optional()?;
    let whole = raw.map_or(Ok(None), |raw| raw.whole(db))?;
    Ok(whole.map(|pending| Pending {
        ends_at: until,
        ..pending
    }))
}

/// The mail about a choice is written: its link can be used until then.
pub(crate) fn written(db: &Connection, id: Id, until: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE pending SET ends_at = ?2 WHERE id = ?1")?
        .execute([id.0, until.0])?;
    Ok(())
}

/// A row of [`PENDING`].
struct RawPending {
    id: Id,
    party: String,
    subject: Id,
    choice: String,
    target: Option<String>,
    mailed: String,
    made_at: Timestamp,
    ends_at: Timestamp,
    done_at: Option<Timestamp>,
}

impl RawPending {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: Id(row.get(0)?),
            party: row.get(1)?,
            subject: Id(row.get(2)?),
            choice: row.get(3)?,
            target: row.get(4)?,
            mailed: row.get(5)?,
            made_at: Timestamp(row.get(6)?),
            ends_at: Timestamp(row.get(7)?),
            done_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        })
    }

    /// With its owner; none if that is gone, or the row says what this version does not know.
    fn whole(self, db: &Connection) -> rusqlite::Result<Option<Pending>> {
        Ok(self.owner(db)?.map(|owner| Pending {
            id: self.id,
            owner,
            mailed: self.mailed,
            made_at: self.made_at,
            ends_at: self.ends_at,
            done_at: self.done_at,
        }))
    }

    fn owner(&self, db: &Connection) -> rusqlite::Result<Option<Owner>> {
        if self.party == "sender" {
            let sender = sender_by_id(db, self.subject)?.map(|row| row.sender);
            let choice = SenderChoice::parse(&self.choice);
            return Ok(sender.zip(choice).map(|(s, c)| Owner::Sender(s, c)));
        }
        let address = addresses::by_id(db, self.subject)?.map(|row| row.address);
        let choice = read_choice(&self.choice, self.target.as_deref());
        Ok(address.zip(choice).map(|(a, c)| Owner::Recipient(a, c)))
    }
}

/// Puts a choice in force whose confirm link was used. `None` if the link cannot be used any more.
pub(crate) fn confirm(
    db: &Connection,
    id: Id,
    asking: &Asking<'_>,
) -> rusqlite::Result<Option<Confirmed>> {
    let Some(pending) = pending(db, id, asking.now)? else {
        return Ok(None);
    };
    if pending.done_at.is_some() {
        return Ok(Some(Confirmed::Already));
    }
    if let Some(objection) = objected(db, &pending)? {
        return Ok(Some(Confirmed::Refused(objection)));
    }
    // First, so that it does not end with the links that the choice supersedes.
    db.prepare_cached("UPDATE pending SET done_at = ?2 WHERE id = ?1")?
        .execute([id.0, asking.now.0])?;
    let moved = match &pending.owner {
        Owner::Sender(sender, choice) => {
            set_sender(db, sender.id, *choice, asking.by, asking.now)?;
            0
        }
        Owner::Recipient(address, choice) => {
            let moved = set_recipient(db, address.id, choice, asking.by, asking.now)?;
            tell_owner(db, address, choice, asking)?;
            moved
        }
    };
    Ok(Some(Confirmed::Done(moved)))
}

/// Why a redirect cannot be put in force any more, as far as the ledger knows.
fn objected(db: &Connection, pending: &Pending) -> rusqlite::Result<Option<Objection>> {
    match &pending.owner {
        Owner::Recipient(address, RecipientChoice::Redirect(target)) => {
            objection(db, &address.address, target)
        }
        _ => Ok(None),
    }
}

/// The link that puts a pending choice in force.
pub(crate) fn confirm_link(key: &LinkKey, pending: &Pending) -> Link {
    key.mint(LinkKind::Confirm, pending.id, &pending.mailed, 0)
}

/// Forgets links that nobody can use any more; those whose mail is not written yet have not begun.
pub(crate) fn forget(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM pending WHERE ends_at < ?1 AND NOT EXISTS (
           SELECT 1 FROM errand e WHERE e.subject = pending.id
           AND e.what IN ('confirm', 'notice'))",
    )?
    .execute([now.0])?;
    Ok(())
}
