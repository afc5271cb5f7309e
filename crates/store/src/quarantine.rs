//! Held copies: release under caps, discard, retention.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::model::{Actor, Done, ReleaseCaps, Released, Selection};
use crate::queue::{self, Change, Copy, apply, selected};
use crate::state::{Event, State};
use crate::tally;

/// Caps count within a day.
const WINDOW: i64 = 24;
/// Most messages that one round of tidying deletes: the writer serves others in between.
const ROUND: i64 = 200;
/// Most audit lines that one round of trimming deletes.
const AUDIT_ROUND: usize = 5000;

/// Held → queued. With caps: all of the selection or nothing.
pub(crate) fn release(
    db: &Connection,
    what: &Selection,
    caps: Option<&ReleaseCaps>,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Released> {
    let held: Vec<_> = selected(db, what)?
        .into_iter()
        .filter(|copy| copy.state == State::Held)
        .collect();
    if let Some(caps) = caps
        && !held.is_empty()
    {
        let domains = held.iter().map(|copy| domain_of(&copy.address));
        let counted = counted(db, what.item, domains, caps)?;
        if let Some(cap) = reached(db, &counted, now)? {
            return Ok(Released::Capped(cap.to_owned()));
        }
        for (_, key, _) in &counted {
            tally::count(db, key, now)?;
        }
    }
    let change = Change {
        event: Event::Release,
        at: now,
        due_at: Some(now),
        said: None,
        detail: "",
    };
    let done = queue::apply_to(db, what, &[State::Held], &change, by)?;
    for copy in &held {
        mark_released(db, copy, now)?;
    }
    Ok(Released::Done(done))
}

/// The permanent mark: a released copy never meets the chain again, and has routes of its own.
fn mark_released(db: &Connection, copy: &Copy, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE recipient SET kind = 'released', queued_at = ?3 WHERE message = ?1 AND id = ?2",
    )?
    .execute(params![copy.message.0, copy.id.0, now.0])?;
    Ok(())
}

type Counted = Vec<(&'static str, String, u32)>;

/// Each cap with the key that it counts under and its limit.
fn counted(
    db: &Connection,
    item: Id,
    domains: impl Iterator<Item = String>,
    caps: &ReleaseCaps,
) -> rusqlite::Result<Counted> {
    let (sender, origin): (String, String) = db
        .prepare_cached("SELECT sender, origin FROM facts WHERE message = ?1")?
        .query_row([item.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    let sender_domain = domain_of(&sender);
    let network = network_of(&origin);
    let mut counted = vec![
        (
            "per_sender",
            format!("release sender {sender}"),
            caps.per_sender,
        ),
        (
            "per_sender_domain",
            format!("release from {sender_domain}"),
            caps.per_sender_domain,
        ),
        (
            "per_origin_network",
            format!("release origin {network}"),
            caps.per_origin_network,
        ),
        ("total", "release".to_owned(), caps.total),
    ];
    let mut domains: Vec<_> = domains.collect();
    domains.sort();
    domains.dedup();
    let cap = caps.per_destination_domain;
    counted.extend(domains.into_iter().map(|domain| {
        (
            "per_destination_domain",
            format!("release to {domain}"),
            cap,
        )
    }));
    Ok(counted)
}

fn reached(
    db: &Connection,
    counted: &Counted,
    now: Timestamp,
) -> rusqlite::Result<Option<&'static str>> {
    for (name, key, cap) in counted {
        if tally::sum(db, key, WINDOW, now)? >= *cap {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

pub(crate) fn domain_of(address: &str) -> String {
    address
        .rsplit_once('@')
        .map_or(address, |(_, domain)| domain)
        .to_ascii_lowercase()
}

/// The /24 or /64 of an address; other text as it is.
fn network_of(origin: &str) -> String {
    use std::net::{IpAddr, Ipv6Addr};
    match origin.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(ip)) => {
            let net = Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
            format!("{net}/64")
        }
        Err(_) => origin.to_owned(),
    }
}

/// Drops the copies of the selection that are in one of `states`.
pub(crate) fn discard(
    db: &Connection,
    what: &Selection,
    states: &[State],
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Done> {
    let said = format!("discarded: {}", by.who);
    let change = Change {
        event: Event::Discard,
        at: now,
        due_at: None,
        said: Some(&said),
        detail: "",
    };
    queue::apply_to(db, what, states, &change, by)
}

/// Expires held copies of messages received before `before`, and deletes what is past it and has
/// no open copy. Returns the spool files to remove, and whether there may be more.
pub(crate) fn expire(
    db: &Connection,
    before: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<(Vec<Id>, bool)> {
    let old = db
        .prepare_cached(
            "SELECT id FROM message WHERE held AND received_at < ?1 AND NOT EXISTS (
               SELECT 1 FROM recipient r WHERE r.message = message.id
               AND r.state IN ('queued', 'sending', 'deferred', 'suspended'))
             LIMIT ?2",
        )?
        .query_map(params![before.0, ROUND], |row| row.get(0).map(Id))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut files = Vec::new();
    for item in &old {
        expire_one(db, *item, now)?;
        tally::forget_item(db, *item)?;
        files.extend(queue::forget(db, *item)?);
    }
    Ok((files, old.len() as i64 == ROUND))
}

fn expire_one(db: &Connection, item: Id, now: Timestamp) -> rusqlite::Result<()> {
    let what = Selection {
        item,
        addresses: Vec::new(),
    };
    let change = Change {
        event: Event::Expire,
        at: now,
        due_at: None,
        said: Some("the time of keeping is over"),
        detail: "",
    };
    for copy in selected(db, &what)? {
        apply(db, &copy, &change, &Actor::local("retention"))?;
    }
    Ok(())
}

/// Deletes audit lines from before `before`, a round at a time. Items are numbered by time, so the
/// oldest come first; the lines of an item that is still kept stay. Says whether there may be more.
pub(crate) fn trim_audit(db: &Connection, before: Timestamp) -> rusqlite::Result<bool> {
    let gone = db
        .prepare_cached(
            "DELETE FROM audit WHERE (item, seq) IN (
               SELECT item, seq FROM audit WHERE item < ?1 ORDER BY item LIMIT ?3)
             AND at < ?2 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = audit.item)",
        )?
        .execute(params![Id::first_of(before).0, before.0, AUDIT_ROUND])?;
    Ok(gone == AUDIT_ROUND)
}
