//! Errands: mail of ours that somebody asked for and that the relay has still to write.

use std::time::Duration;

use posthouse_hook::{ForwardPath, Id, Language, LinkKey, LinkKind, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::addresses;
use crate::caps::{self, Cap, network_of};
use crate::choices::{self, Asking, ensure_sender};
use crate::model::{Errand, ErrandKind, Owner, Pending};
use crate::rows::forward_path;

/// How long an errand waits for letters to go out again. Nobody remembers then what was asked for.
pub(crate) const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// Mails with a link that one address can get in a day.
const LINKS_DAILY: u32 = 1;
/// Mails with a link that one network can cause in an hour.
const PER_NETWORK_HOURLY: u32 = 10;
/// Mails with a link in an hour, in all.
const TOTAL_HOURLY: u32 = 200;

/// Adds an errand.
pub(crate) fn add(
    db: &Connection,
    what: &str,
    subject: Id,
    to: &str,
    asking: &Asking<'_>,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO errand (id, what, subject, mailed, asked_by, language, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        asking.ids.next(asking.now).0,
        what,
        subject.0,
        to,
        asking.by.from.map(|ip| ip.to_string()).unwrap_or_default(),
        asking.language.map(Language::name),
        asking.now.0,
    ])?;
    Ok(())
}

/// Has the links of an address mailed to it, as far as something is held for it or from it. For an
/// address of which nothing is known, nothing happens and nothing is kept.
pub(crate) fn ask_links(
    db: &Connection,
    address: &ForwardPath,
    asking: &Asking<'_>,
) -> rusqlite::Result<()> {
    let key = address.key();
    let recipient = recipient_with_mail(db, &key)?;
    let sends = sender_with_mail(db, &key)?;
    if (recipient.is_none() && !sends) || !room(db, &key, asking)? {
        return Ok(());
    }
    if let Some(id) = recipient {
        add(db, "link", id, &key, asking)?;
    }
    if sends {
        let id = ensure_sender(db, &key, asking.ids.next(asking.now))?;
        add(db, "manage", id, &key, asking)?;
    }
    Ok(())
}

fn recipient_with_mail(db: &Connection, address: &str) -> rusqlite::Result<Option<Id>> {
    db.prepare_cached(
        "SELECT id FROM address WHERE address = ?1 AND (choice <> 'hold' OR EXISTS (
           SELECT 1 FROM recipient r WHERE r.owner = address.id AND r.state = 'held'))",
    )?
    .query_row([address], |row| row.get(0).map(Id))
    .optional()
}

fn sender_with_mail(db: &Connection, address: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM sender WHERE address = ?1 AND choice <> 'hold')
         OR EXISTS (SELECT 1 FROM facts f JOIN message m ON m.id = f.message
           JOIN recipient r ON r.message = f.message
           WHERE f.sender = ?1 AND m.refused AND r.state = 'held')",
    )?
    .query_row([address], |row| row.get(0))
}

/// Whether the caps leave room; if so it is counted.
fn room(db: &Connection, address: &str, asking: &Asking<'_>) -> rusqlite::Result<bool> {
    let from = asking.by.from.map(|ip| network_of(&ip.to_string()));
    let network = format!("link from {}", from.unwrap_or_default());
    let caps = [
        Cap::new("address", format!("link to {address}"), 24, LINKS_DAILY),
        Cap::new("network", network, 1, PER_NETWORK_HOURLY),
        Cap::new("total", "link".to_owned(), 1, TOTAL_HOURLY),
    ];
    if let Some(cap) = caps::reached(db, &caps, asking.now)? {
        tracing::info!(cap, "a link was asked for past a cap");
        return Ok(false);
    }
    caps::count(db, &caps, asking.now)?;
    Ok(true)
}

/// A row of errand.
struct RawErrand {
    id: Id,
    what: String,
    subject: Id,
    to: ForwardPath,
    asked_by: String,
    language: Option<Language>,
}

impl RawErrand {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let language: Option<String> = row.get(5)?;
        Ok(Self {
            id: Id(row.get(0)?),
            what: row.get(1)?,
            subject: Id(row.get(2)?),
            to: forward_path(row, 3)?,
            asked_by: row.get(4)?,
            language: language.as_deref().and_then(|tag| tag.parse().ok()),
        })
    }

    /// With what it is about; none if that is gone.
    fn whole(
        self,
        db: &Connection,
        key: &LinkKey,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Errand>> {
        let what = match self.what.as_str() {
            "confirm" | "notice" => self.about_choice(db, key, now)?,
            "link" => addresses::by_id(db, self.subject)?.map(|row| {
                let party = &row.address.address;
                let link = key.mint(LinkKind::Address, row.address.id, party, row.generation);
                ErrandKind::Address(row.address, link)
            }),
            "manage" => choices::sender_by_id(db, self.subject)?.map(|row| {
                let party = &row.sender.address;
                let link = key.mint(LinkKind::Manage, row.sender.id, party, row.generation);
                ErrandKind::Manage(row.sender, link)
            }),
            _ => None,
        };
        Ok(what.map(|what| Errand {
            id: self.id,
            what,
            to: self.to,
            asked_by: self.asked_by,
            language: self.language,
        }))
    }

    fn about_choice(
        &self,
        db: &Connection,
        key: &LinkKey,
        now: Timestamp,
    ) -> rusqlite::Result<Option<ErrandKind>> {
        let until = now.after(lasts(&self.what));
        let Some(pending) = choices::unwritten(db, self.subject, until)? else {
            return Ok(None);
        };
        let link = choices::confirm_link(key, &pending);
        Ok(match self.what.as_str() {
            "notice" if !redirects(&pending) => None,
            "notice" => Some(ErrandKind::Redirected(Box::new(pending), link)),
            _ => Some(ErrandKind::Confirm(Box::new(pending), link)),
        })
    }
}

/// How long the link in a mail about a choice can be used, from its writing.
fn lasts(what: &str) -> Duration {
    match what {
        "notice" => choices::UNDO,
        _ => choices::CONFIRM,
    }
}

/// Whether the redirect that a notice tells of is still in force.
fn redirects(pending: &Pending) -> bool {
    match &pending.owner {
        Owner::Recipient(address, _) => address.choice.target().is_some(),
        Owner::Sender(..) => false,
    }
}

/// Errands that wait, the oldest first.
pub(crate) fn due(
    db: &Connection,
    key: &LinkKey,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<Errand>> {
    let raw = db
        .prepare_cached(
            "SELECT id, what, subject, mailed, asked_by, language FROM errand
             ORDER BY id LIMIT ?1",
        )?
        .query_map([limit], RawErrand::of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    raw.into_iter()
        .filter_map(|raw| raw.whole(db, key, now).transpose())
        .collect()
}

/// Ends an errand whose mail is written: the life of its link begins. Says whether it was still
/// there.
pub(crate) fn end(db: &Connection, id: Id, now: Timestamp) -> rusqlite::Result<bool> {
    let ended: Option<(String, i64)> = db
        .prepare_cached("DELETE FROM errand WHERE id = ?1 RETURNING what, subject")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((what, subject)) = &ended
        && matches!(what.as_str(), "confirm" | "notice")
    {
        choices::written(db, Id(*subject), now.after(lasts(what)))?;
    }
    Ok(ended.is_some())
}

/// Drops errands that are too old, or about what is gone.
pub(crate) fn forget(db: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM errand WHERE made_at < ?1 OR NOT EXISTS (
           SELECT 1 FROM pending p WHERE errand.what IN ('confirm', 'notice') AND p.id = errand.subject
           UNION ALL SELECT 1 FROM address a WHERE errand.what = 'link' AND a.id = errand.subject
           UNION ALL SELECT 1 FROM sender s WHERE errand.what = 'manage' AND s.id = errand.subject)",
    )?
    .execute([before.0])?;
    Ok(())
}
