//! Letters: who is to be written to, and the caps on it.

use std::collections::HashSet;
use std::time::Duration;

use posthouse_hook::{ForwardPath, Id, LinkKey, LinkKind, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::addresses::{ADDRESS, AddressRow, address_of};
use crate::caps::{self, Cap, Cause, domain_of};
use crate::model::{Address, Item, LetterCaps, LetterDue};
use crate::rows::{self, forward_path};
use crate::tally;

/// Messages that a letter names at the most.
const NAMED: usize = 10;
/// How long an address rests after a cap kept its letter back.
pub(crate) const CAPPED: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Senders and origins that are looked at for one whose caps leave room.
const CAUSES: usize = 2000;
const PER_ORIGIN: &str = "per_origin_daily";
/// Addresses that are listed as kept back, at most.
const LISTED: usize = 1000;
/// Letters that caps kept back are counted here.
pub(crate) const CAPPED_KEY: &str = "letters capped";

/// Whom to write to, and what for.
pub(crate) struct Due<'a> {
    pub(crate) key: &'a LinkKey,
    /// The least time between two letters to one address.
    pub(crate) interval: Duration,
    /// How many are wanted.
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
}

/// See [`crate::Store::letters_due_among`]. Addresses that are not wanted are passed over one by
/// one: they cost a row each and never take another's place. What was not tried yet comes first, then
/// what was tried longest ago: the many that a cap keeps back must not be all that is ever tried.
pub(crate) fn due(
    db: &Connection,
    ask: &Due<'_>,
    wanted: &dyn Fn(&str) -> bool,
) -> rusqlite::Result<Vec<LetterDue>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {ADDRESS} FROM address
         WHERE waiting IS NOT NULL AND letters = 'on'
           AND (last_letter IS NULL
             OR last_letter <= ?1 - coalesce(interval_days * 86400000, ?3))
           AND (tried_at IS NULL OR tried_at <= ?2)
         ORDER BY coalesce(tried_at, 0), waiting"
    ))?;
    let since = (ask.now.0, ask.now.before(CAPPED).0, millis(ask.interval));
    let mut due = Vec::new();
    for row in statement.query_map(since, address_of)? {
        if due.len() == ask.limit {
            break;
        }
        let row = row?;
        if wanted(&row.address.address) {
            due.extend(one_due(db, ask.key, row)?);
        }
    }
    Ok(due)
}

fn one_due(db: &Connection, key: &LinkKey, row: AddressRow) -> rusqlite::Result<Option<LetterDue>> {
    let AddressRow {
        address,
        generation,
    } = row;
    let Some(to) = some_path(db, address.id)? else {
        return Ok(None);
    };
    let newest = held_for(db, address.id)?;
    let mint = |kind| key.mint(kind, address.id, &address.address, generation);
    Ok(Some(LetterDue {
        link: mint(LinkKind::Address),
        stop_link: mint(LinkKind::Stop),
        held: held_count(db, address.id)?,
        to,
        newest,
        address,
    }))
}

fn millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}

/// How the address was last written on an envelope, while something is held for it.
fn some_path(db: &Connection, owner: Id) -> rusqlite::Result<Option<ForwardPath>> {
    db.prepare_cached(
        "SELECT address FROM recipient WHERE owner = ?1 AND state = 'held'
         ORDER BY message DESC LIMIT 1",
    )?
    .query_row([owner.0], |row| forward_path(row, 0))
    .optional()
}

/// How many copies are held for an address.
pub(crate) fn held_count(db: &Connection, owner: Id) -> rusqlite::Result<usize> {
    db.prepare_cached("SELECT count(*) FROM recipient WHERE owner = ?1 AND state = 'held'")?
        .query_row([owner.0], |row| row.get(0))
}

fn held_for(db: &Connection, owner: Id) -> rusqlite::Result<Vec<Item>> {
    let ids = db
        .prepare_cached(
            "SELECT DISTINCT message FROM recipient WHERE owner = ?1 AND state = 'held'
             ORDER BY message DESC LIMIT ?2",
        )?
        .query_map(params![owner.0, NAMED], |row| row.get(0).map(Id))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    ids.into_iter()
        .filter_map(|id| rows::item(db, id).transpose())
        .collect()
}

/// Whether a letter may go out now.
pub(crate) enum Booking {
    /// It may: it is counted, and the address counts as written to.
    Booked,
    /// Somebody stopped letters, another letter went out meanwhile, or what caused it is gone.
    NotDue,
    /// This cap keeps it back.
    Capped(&'static str),
}

/// Checks that the letter is still due and within the caps; if so counts it and marks the address
/// as written to. A letter that a cap keeps back is counted too.
///
/// One sender's cap does not keep back what others have sent: the letter is booked on any message
/// that waits and whose sender and origin are within theirs.
pub(crate) fn book(
    db: &Connection,
    address: &Address,
    interval: Duration,
    limits: &LetterCaps,
    now: Timestamp,
) -> rusqlite::Result<Booking> {
    if !still_due(db, address.id, interval, now)? {
        return Ok(Booking::NotDue);
    }
    let (mut barred, mut full) = (None, HashSet::new());
    for cause in causes(db, address)? {
        // Another sender's name does not give a barred origin another turn.
        if full.contains(&cause.origin) {
            continue;
        }
        let caps = caps_on(&cause, &address.address, limits);
        barred = caps::reached(db, &caps, now)?;
        if barred.is_none() {
            caps::count(db, &caps, now)?;
            written(db, address.id, now)?;
            return Ok(Booking::Booked);
        }
        if barred == Some(PER_ORIGIN) {
            full.insert(cause.origin);
        }
    }
    let Some(cap) = barred else {
        nothing_waits(db, address.id)?;
        return Ok(Booking::NotDue);
    };
    keep_back(db, address.id, now)?;
    Ok(Booking::Capped(cap))
}

/// What made the address wait was released or discarded.
fn nothing_waits(db: &Connection, address: Id) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE address SET waiting = NULL, capped_at = NULL, tried_at = NULL WHERE id = ?1",
    )?
    .execute([address.0])?;
    Ok(())
}

fn still_due(
    db: &Connection,
    address: Id,
    interval: Duration,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM address WHERE id = ?1 AND letters = 'on'
           AND waiting IS NOT NULL AND (last_letter IS NULL
             OR last_letter <= ?2 - coalesce(interval_days * 86400000, ?3)))",
    )?
    .query_row(params![address.0, now.0, millis(interval)], |row| {
        row.get(0)
    })
}

/// Who made the address wait since its last letter, the newest first. A message counts from its
/// commit, which its id is older than, by a day at the very most.
fn causes(db: &Connection, address: &Address) -> rusqlite::Result<Vec<Cause>> {
    let since = address.last_letter.unwrap_or(Timestamp(0));
    db.prepare_cached(
        "SELECT f.sender, f.origin FROM recipient r JOIN facts f ON f.message = r.message
         WHERE r.owner = ?1 AND r.state = 'held' AND f.letters AND r.message >= ?2
           AND r.queued_at >= ?3
         GROUP BY f.sender, f.origin ORDER BY max(r.message) DESC LIMIT ?4",
    )?
    .query_map(
        params![
            address.id.0,
            Id::first_of(since.before(DAY)).0,
            since.0,
            CAUSES
        ],
        Cause::read,
    )?
    .collect()
}

/// The caps on a letter to this address that is booked on this cause.
fn caps_on(cause: &Cause, address: &str, limits: &LetterCaps) -> [Cap; 4] {
    let Cause { sender, origin } = cause;
    let domain = domain_of(address);
    let daily = |name, key, limit| Cap::new(name, key, 24, limit);
    let hourly = |name, key, limit| Cap::new(name, key, 1, limit);
    [
        daily(
            "per_sender_daily",
            format!("letter by {sender}"),
            limits.per_sender_daily,
        ),
        daily(
            PER_ORIGIN,
            format!("letter from {origin}"),
            limits.per_origin_daily,
        ),
        hourly(
            "per_domain_hourly",
            format!("letter to {domain}"),
            limits.per_domain_hourly,
        ),
        hourly("total_hourly", "letter".to_owned(), limits.total_hourly),
    ]
}

/// Counted once a day and address, however often it is tried.
fn keep_back(db: &Connection, address: Id, now: Timestamp) -> rusqlite::Result<()> {
    let news: bool = db
        .prepare_cached("SELECT capped_at IS NULL OR capped_at <= ?2 FROM address WHERE id = ?1")?
        .query_row(params![address.0, now.before(DAY).0], |row| row.get(0))?;
    if news {
        tally::count(db, CAPPED_KEY, now)?;
    }
    // The day of the first time stays, so that the next hour's try is no news.
    db.prepare_cached(
        "UPDATE address SET tried_at = ?2, capped_at = CASE WHEN ?3 THEN ?2 ELSE capped_at END
         WHERE id = ?1",
    )?
    .execute(params![address.0, now.0, news])?;
    Ok(())
}

/// Addresses whose letter nothing but a cap keeps back, at most [`LISTED`].
pub(crate) fn kept_back(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached(
        "SELECT address FROM address
         WHERE waiting IS NOT NULL AND capped_at IS NOT NULL AND letters = 'on'
           AND EXISTS (SELECT 1 FROM recipient r
                       WHERE r.owner = address.id AND r.state = 'held')
         ORDER BY address LIMIT ?1",
    )?
    .query_map([LISTED], |row| row.get(0))?
    .collect()
}

/// Marks an address as written to.
fn written(db: &Connection, address: Id, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE address SET last_letter = ?2, waiting = NULL, capped_at = NULL, tried_at = NULL
         WHERE id = ?1",
    )?
    .execute(params![address.0, now.0])?;
    Ok(())
}
