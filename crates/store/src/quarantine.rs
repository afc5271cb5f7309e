//! Held copies: release under caps, and discard.

use std::collections::BTreeSet;

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::caps::{self, Cap, Cause, domain_of, network_of};
use crate::copies::{self, Change, Copy, apply, selected};
use crate::keeping;
use crate::model::{Actor, Done, Kind, ReleaseCaps, Released, Selection, said_of_discard};
use crate::state::{Event, State};

/// Releases are counted within a day.
const WINDOW: i64 = 24;

/// Held → queued. With caps: all of the selection or nothing.
pub(crate) fn release(
    db: &Connection,
    what: &Selection,
    limits: Option<&ReleaseCaps>,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Released> {
    let (held, others): (Vec<_>, Vec<_>) = selected(db, what)?
        .into_iter()
        .partition(|copy| copy.state == State::Held);
    if let Some(limits) = limits
        && !held.is_empty()
    {
        let caps = caps_on(db, what.item, &held, limits)?;
        if let Some(cap) = caps::reached(db, &caps, now)? {
            return Ok(Released::Capped(cap));
        }
        caps::count(db, &caps, now)?;
    }
    release_held(db, &held, Kind::Released, by, now)?;
    Ok(Released::Done(Done {
        changed: held.len(),
        untouched: others.len(),
    }))
}

/// Releases the held copies of a selection as a kind, whatever the caps.
pub(crate) fn release_as(
    db: &Connection,
    what: &Selection,
    kind: Kind,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Done> {
    let (held, others): (Vec<_>, Vec<_>) = selected(db, what)?
        .into_iter()
        .partition(|copy| copy.state == State::Held);
    release_held(db, &held, kind, by, now)?;
    Ok(Done {
        changed: held.len(),
        untouched: others.len(),
    })
}

fn release_held(
    db: &Connection,
    held: &[Copy],
    kind: Kind,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let change = Change::of(Event::Release, now, Some(now));
    for copy in held {
        apply(db, copy, &change, by)?;
        mark_released(db, copy, kind, now)?;
    }
    Ok(())
}

/// The permanent mark: a released copy never meets the chain again, and has routes of its own. It
/// goes where its recipient redirects all mail by now.
fn mark_released(db: &Connection, copy: &Copy, kind: Kind, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE recipient SET kind = ?4, queued_at = ?3, target = (
           SELECT a.target FROM address a
           WHERE a.address = lower(recipient.address) AND a.choice = 'redirect')
         WHERE message = ?1 AND id = ?2",
    )?
    .execute(params![
        copy.id.message.0,
        copy.id.recipient.0,
        now.0,
        kind.name()
    ])?;
    Ok(())
}

/// A redirect is over, so its owner finds the copy in the quarantine, as one of the filtered row.
pub(crate) fn withhold(db: &Connection, copy: &Copy, now: Timestamp) -> rusqlite::Result<()> {
    let key = (copy.id.message.0, copy.id.recipient.0);
    db.prepare_cached(
        "UPDATE recipient SET kind = 'relayed', target = NULL, filtered = 1,
           owner = (SELECT a.id FROM address a WHERE a.address = lower(recipient.address))
         WHERE message = ?1 AND id = ?2",
    )?
    .execute([key.0, key.1])?;
    db.prepare_cached("UPDATE message SET held = 1 WHERE id = ?1")?
        .execute([key.0])?;
    keeping::note_again(db, copy.id.message)?;
    db.prepare_cached(
        "UPDATE address SET waiting = coalesce(waiting, ?2) WHERE address = lower(?1)
         AND EXISTS (SELECT 1 FROM facts f WHERE f.message = ?3 AND f.letters)",
    )?
    .execute(params![copy.address, now.0, key.0])?;
    Ok(())
}

/// Releases one recipient's own copy to the address itself, if its owner did not so `daily` times
/// within a day.
pub(crate) fn release_own(
    db: &Connection,
    what: &Selection,
    owner: &str,
    daily: u32,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Released> {
    let cap = [Cap::new(
        "recipient_releases",
        format!("release by {owner}"),
        WINDOW,
        daily,
    )];
    let held = selected(db, what)?
        .iter()
        .any(|copy| copy.state == State::Held);
    if !held {
        return release_as(db, what, Kind::Released, by, now).map(Released::Done);
    }
    if let Some(cap) = caps::reached(db, &cap, now)? {
        return Ok(Released::Capped(cap));
    }
    caps::count(db, &cap, now)?;
    release_as(db, what, Kind::Released, by, now).map(Released::Done)
}

/// The caps on the release of these copies of one message.
fn caps_on(
    db: &Connection,
    item: Id,
    copies: &[Copy],
    limits: &ReleaseCaps,
) -> rusqlite::Result<Vec<Cap>> {
    let mut caps = caps_on_cause(&cause_of(db, item)?, limits);
    let domains: BTreeSet<_> = copies.iter().map(|copy| domain_of(&copy.address)).collect();
    let limit = limits.per_destination_domain;
    caps.extend(domains.iter().map(|domain| {
        let key = format!("release to {domain}");
        Cap::new("per_destination_domain", key, WINDOW, limit)
    }));
    Ok(caps)
}

fn cause_of(db: &Connection, item: Id) -> rusqlite::Result<Cause> {
    db.prepare_cached("SELECT sender, origin FROM facts WHERE message = ?1")?
        .query_row([item.0], Cause::read)
        .optional()
        .map(Option::unwrap_or_default)
}

/// The caps on whoever caused the message, and on all together.
fn caps_on_cause(cause: &Cause, limits: &ReleaseCaps) -> Vec<Cap> {
    let Cause { sender, origin } = cause;
    let (domain, network) = (domain_of(sender), network_of(origin));
    let cap = |name, key, limit| Cap::new(name, key, WINDOW, limit);
    vec![
        cap(
            "per_sender",
            format!("release sender {sender}"),
            limits.per_sender,
        ),
        cap(
            "per_sender_domain",
            format!("release from {domain}"),
            limits.per_sender_domain,
        ),
        cap(
            "per_origin_network",
            format!("release origin {network}"),
            limits.per_origin_network,
        ),
        cap("total", "release".to_owned(), limits.total),
    ]
}

/// Drops the copies of the selection that are in one of `states`.
pub(crate) fn discard(
    db: &Connection,
    what: &Selection,
    states: &[State],
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Done> {
    let said = said_of_discard(by.who);
    let change = Change {
        said: Some(&said),
        ..Change::of(Event::Discard, now, None)
    };
    copies::apply_to(db, what, states, &change, by)
}
