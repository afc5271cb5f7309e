//! Standing choices: how they are read, asked for, confirmed and set.
//!
//! Nothing takes effect here without a confirm link, but for what its caller may do at once: an
//! operator everything, a person what makes things as they were.

use posthouse_hook::{ForwardPath, Id, IdMaker, Language, LinkKey, LinkKind, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::addresses::{self, ADDRESS, address_of};
use crate::audit::{self, Line};
use crate::caps::{self, Cap};
use crate::errands;
use crate::model::{
    Actor, Address, Asked, Choices, Confirmed, Kind, Objection, Owner, Pending, RecipientChoice,
    Selection, Sender, SenderChoice, Wish,
};
use crate::quarantine;
use crate::rows::unreadable;

/// How long a confirm link can be used.
const CONFIRM: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);
/// How long the undo link of a notice can be used; the owner's page can undo at any time.
const UNDO: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);
/// Confirm letters that one owner can cause in a day.
const PER_OWNER_DAILY: u32 = 3;
/// Confirm letters about redirects that one target can get in a week.
const PER_TARGET_WEEKLY: u32 = 1;
/// Confirm letters in an hour, in all.
const TOTAL_HOURLY: u32 = 200;
const WEEK: i64 = 7 * 24;

const SENDER: &str = "id, address, choice, chosen_at, generation";
const PENDING: &str = "id, party, subject, choice, target, mailed, made_at, ends_at, done_at";

/// Rows of choices that their owner asked for and that were not confirmed. The undo link of a notice
/// is none of them: nobody waits for it.
const WAITS: &str = "done_at IS NULL AND choice <> 'hold' AND ends_at > ?2";

/// A sender and the generation of its links.
pub(crate) struct SenderRow {
    pub(crate) sender: Sender,
    pub(crate) generation: u32,
}

fn sender_of(row: &Row<'_>) -> rusqlite::Result<SenderRow> {
    let choice: String = row.get(2)?;
    let sender = Sender {
        id: Id(row.get(0)?),
        address: row.get(1)?,
        choice: SenderChoice::parse(&choice).ok_or_else(|| unreadable(2, &choice))?,
        chosen_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
    };
    Ok(SenderRow {
        sender,
        generation: row.get(4)?,
    })
}

/// Reads a recipient's choice from the columns choice and target.
pub(crate) fn recipient_choice(row: &Row<'_>, column: usize) -> rusqlite::Result<RecipientChoice> {
    let name: String = row.get(column)?;
    let target: Option<String> = row.get(column + 1)?;
    read_choice(&name, target.as_deref()).ok_or_else(|| unreadable(column, &name))
}

fn read_choice(name: &str, target: Option<&str>) -> Option<RecipientChoice> {
    Some(match name {
        "hold" => RecipientChoice::Hold,
        "discard" => RecipientChoice::Discard,
        "redirect" => RecipientChoice::Redirect(ForwardPath::from_address(target?).ok()?),
        _ => return None,
    })
}

/// Every standing choice.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Choices> {
    let senders = db
        .prepare_cached(&format!(
            "SELECT {SENDER} FROM sender WHERE choice <> 'hold'"
        ))?
        .query_map([], sender_of)?
        .map(|row| row.map(|r| (r.sender.address, r.sender.choice)))
        .collect::<rusqlite::Result<_>>()?;
    let recipients = db
        .prepare_cached(&format!(
            "SELECT {ADDRESS} FROM address WHERE choice <> 'hold'"
        ))?
        .query_map([], address_of)?
        .map(|row| row.map(|r| (r.address.address, r.address.choice)))
        .collect::<rusqlite::Result<_>>()?;
    Ok(Choices {
        senders,
        recipients,
    })
}

/// Senders who have chosen something, by address; at most `limit`.
pub(crate) fn senders(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Sender>> {
    db.prepare_cached(&format!(
        "SELECT {SENDER} FROM sender WHERE choice <> 'hold' ORDER BY address LIMIT ?1"
    ))?
    .query_map([limit], |row| sender_of(row).map(|r| r.sender))?
    .collect()
}

/// Recipients who have chosen something, letters included, by address; at most `limit`.
pub(crate) fn recipients(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Address>> {
    db.prepare_cached(&format!(
        "SELECT {ADDRESS} FROM address
         WHERE choice <> 'hold' OR letters <> 'on' OR interval_days IS NOT NULL
         ORDER BY address LIMIT ?1"
    ))?
    .query_map([limit], |row| address_of(row).map(|r| r.address))?
    .collect()
}

/// The row of a sender, in any case.
pub(crate) fn sender_by_name(
    db: &Connection,
    address: &str,
) -> rusqlite::Result<Option<SenderRow>> {
    db.prepare_cached(&format!("SELECT {SENDER} FROM sender WHERE address = ?1"))?
        .query_row([address.to_ascii_lowercase()], sender_of)
        .optional()
}

/// The row of that id.
pub(crate) fn sender_by_id(db: &Connection, id: Id) -> rusqlite::Result<Option<SenderRow>> {
    db.prepare_cached(&format!("SELECT {SENDER} FROM sender WHERE id = ?1"))?
        .query_row([id.0], sender_of)
        .optional()
}

/// The row of a sender; made if need be.
pub(crate) fn ensure_sender(db: &Connection, address: &str, new: Id) -> rusqlite::Result<Id> {
    ensure(db, "sender", address, new)
}

/// The row of a recipient; made if need be.
pub(crate) fn ensure_address(db: &Connection, address: &str, new: Id) -> rusqlite::Result<Id> {
    ensure(db, "address", address, new)
}

fn ensure(db: &Connection, table: &str, address: &str, new: Id) -> rusqlite::Result<Id> {
    db.prepare_cached(&format!(
        "INSERT INTO {table} (id, address) VALUES (?1, ?2)
         ON CONFLICT (address) DO UPDATE SET address = excluded.address RETURNING id"
    ))?
    .query_row(params![new.0, address.to_ascii_lowercase()], |row| {
        row.get(0).map(Id)
    })
}

/// Sets a sender's choice.
pub(crate) fn set_sender(
    db: &Connection,
    id: Id,
    choice: SenderChoice,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let chosen = (choice != SenderChoice::Hold).then_some(now.0);
    db.prepare_cached("UPDATE sender SET choice = ?2, chosen_at = ?3 WHERE id = ?1")?
        .execute(params![id.0, choice.name(), chosen])?;
    audit::append(db, &line(now, id, "choice", choice.name(), ""), by)
}

/// Sets a recipient's choice. A redirect takes along what is held; gives how many copies.
pub(crate) fn set_recipient(
    db: &Connection,
    id: Id,
    choice: &RecipientChoice,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let target = choice.target().map(ForwardPath::address);
    let chosen = (*choice != RecipientChoice::Hold).then_some(now.0);
    db.prepare_cached("UPDATE address SET choice = ?2, target = ?3, chosen_at = ?4 WHERE id = ?1")?
        .execute(params![id.0, choice.name(), target, chosen])?;
    let detail = target.as_deref().unwrap_or_default();
    audit::append(db, &line(now, id, "choice", choice.name(), detail), by)?;
    match choice {
        RecipientChoice::Redirect(_) => redirect_held(db, id, by, now),
        RecipientChoice::Hold | RecipientChoice::Discard => Ok(0),
    }
}

/// Releases all that is held for an address to the target of its redirect.
fn redirect_held(db: &Connection, id: Id, by: &Actor, now: Timestamp) -> rusqlite::Result<usize> {
    let held: Vec<(i64, String)> = db
        .prepare_cached(
            "SELECT message, address FROM recipient WHERE owner = ?1 AND state = 'held'",
        )?
        .query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut moved = 0;
    for (message, address) in held {
        let what = Selection {
            item: Id(message),
            addresses: vec![address],
        };
        moved += quarantine::release_as(db, &what, Kind::Redirected, by, now)?.changed;
    }
    Ok(moved)
}

/// Why an address cannot redirect to a target, as far as the ledger knows.
pub(crate) fn objection(
    db: &Connection,
    owner: &str,
    target: &ForwardPath,
) -> rusqlite::Result<Option<Objection>> {
    if target.mailbox().is_none() {
        return Ok(Some(Objection::NoAddress));
    }
    if target.key() == owner {
        return Ok(Some(Objection::Itself));
    }
    let chain: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM address WHERE address = ?1 AND choice = 'redirect')
             OR EXISTS (SELECT 1 FROM address WHERE lower(target) = ?2 AND choice = 'redirect')",
        )?
        .query_row([target.key().as_str(), owner], |row| row.get(0))?;
    Ok(chain.then_some(Objection::Chain))
}

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
        lasts: std::time::Duration,
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
    match ended {
        0 => Ok(()),
        _ => audit::append(db, &line(now, owner, "withdrawn", "", ""), by),
    }
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
    let moved = match &pending.owner {
        Owner::Sender(sender, choice) => {
            set_sender(db, sender.id, *choice, asking.by, asking.now)?;
            0
        }
        Owner::Recipient(address, choice) => {
            if let Some(target) = choice.target()
                && let Some(objection) = objection(db, &address.address, target)?
            {
                return Ok(Some(Confirmed::Refused(objection)));
            }
            let moved = set_recipient(db, address.id, choice, asking.by, asking.now)?;
            tell_owner(db, address, choice, asking)?;
            moved
        }
    };
    db.prepare_cached("UPDATE pending SET done_at = ?2 WHERE id = ?1")?
        .execute([id.0, asking.now.0])?;
    Ok(Some(Confirmed::Done(moved)))
}

/// The owner of a redirect is told that it is in force, with a link that ends it.
fn tell_owner(
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

/// The link that puts a pending choice in force.
pub(crate) fn confirm_link(key: &LinkKey, pending: &Pending) -> posthouse_hook::Link {
    key.mint(LinkKind::Confirm, pending.id, &pending.mailed, 0)
}

/// Forgets links that nobody can use any more.
pub(crate) fn forget(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM pending WHERE ends_at < ?1")?
        .execute([now.0])?;
    Ok(())
}

fn line<'a>(at: Timestamp, item: Id, event: &'a str, state: &'a str, detail: &'a str) -> Line<'a> {
    Line {
        at,
        item,
        subject: item,
        event,
        state,
        detail,
    }
}
