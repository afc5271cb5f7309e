//! The rows of a message, written inside the writer's transaction, perhaps twice.

use posthouse_hook::{ForwardPath, Id, ReversePath, Row};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Body, Fate, Intake, NewCopy};
use crate::audit::{self, Line};
use crate::keeping;
use crate::model::{Actor, Who};
use crate::samples::NOT_HELD_KEY;
use crate::{judged, observed, rows, tally};

/// Messages that were relayed unscanned are counted here.
pub(crate) const UNSCANNED_KEY: &str = "relayed unscanned";

/// Copies that a standing choice discarded are counted here.
pub(crate) const DISCARDED_KEY: &str = "discarded";

/// The first of several equal messages.
pub(crate) struct Earlier {
    pub(crate) id: Id,
    pub(crate) reverse_path: ReversePath,
    /// Of its item link.
    pub(crate) generation: u32,
}

impl Intake {
    /// Writes every row. Runs inside the writer's transaction, perhaps twice.
    pub(crate) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        self.insert_message(db)?;
        self.insert_body(db)?;
        if let Some(facts) = &self.facts {
            facts.insert(db, self.id)?;
            keeping::note(db, self)?;
        }
        if self.unscanned {
            tally::count(db, UNSCANNED_KEY, self.at)?;
        }
        if self.spam_not_held {
            tally::count(db, NOT_HELD_KEY, self.at)?;
        }
        observed::insert(db, &self.observed, (self.id, &self.reverse_path), self.at)?;
        if let Some(facts) = &self.judged {
            judged::insert(db, self.id, self.at, facts)?;
        }
        for copy in &self.copies {
            self.insert_copy(db, copy)?;
        }
        for key in &self.discards {
            tally::count(db, key, self.at)?;
            tally::count(db, DISCARDED_KEY, self.at)?;
        }
        Ok(())
    }

    fn insert_message(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO message (id, received_at, reverse_path, client, helo, size, eight_bit,
             dsn_allowed, refused, held, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            self.id.0,
            self.at.0,
            self.reverse_path.address(),
            self.client,
            self.helo,
            i64::try_from(self.size).unwrap_or(i64::MAX),
            self.eight_bit,
            self.dsn_allowed,
            self.refused,
            self.holds(),
            self.received,
        ])?;
        Ok(())
    }

    fn insert_body(&self, db: &Connection) -> rusqlite::Result<()> {
        let bytes = match &self.body {
            Body::Row(bytes) => Some(&bytes[..]),
            Body::File => None,
        };
        db.prepare_cached("INSERT INTO body (message, bytes) VALUES (?1, ?2)")?
            .execute(params![self.id.0, bytes])?;
        Ok(())
    }

    fn insert_copy(&self, db: &Connection, copy: &NewCopy) -> rusqlite::Result<()> {
        let owner = match copy.fate {
            Fate::Held(Row::Filtered) => Some(self.owner(db, copy)?),
            _ => None,
        };
        db.prepare_cached(
            "INSERT INTO recipient (id, message, address, owner, kind, state, filtered, queued_at,
             due_at, changed_at, target) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, ?10)",
        )?
        .execute(params![
            copy.id.0,
            self.id.0,
            copy.address.address(),
            owner,
            copy.kind.name(),
            copy.fate.state().name(),
            copy.fate.filtered(),
            self.at.0,
            copy.fate.due_at(self.at),
            copy.redirect.as_ref().map(ForwardPath::address),
        ])?;
        self.audit_copy(db, copy)
    }

    fn audit_copy(&self, db: &Connection, copy: &NewCopy) -> rusqlite::Result<()> {
        let line = Line {
            at: self.at,
            item: self.id,
            subject: copy.id,
            event: "commit",
            state: copy.fate.state().name(),
            detail: "",
        };
        audit::append(db, &line, &Actor::local(Who::Chain))
    }

    /// The row of the address that a copy is held for; made if need be, and waiting for a letter if
    /// this message may cause one.
    fn owner(&self, db: &Connection, copy: &NewCopy) -> rusqlite::Result<i64> {
        let letters = self.facts.as_ref().is_some_and(|f| f.letters);
        let waiting = letters.then_some(self.at.0);
        db.prepare_cached(
            "INSERT INTO address (id, address, waiting) VALUES (?1, ?2, ?3)
             ON CONFLICT (address) DO UPDATE SET waiting = coalesce(waiting, excluded.waiting)
             RETURNING id",
        )?
        .query_row(params![copy.id.0, copy.address.key(), waiting], |row| {
            row.get(0)
        })
    }

    /// This message as the first of several.
    pub(crate) fn itself(&self) -> Earlier {
        Earlier {
            id: self.id,
            reverse_path: self.reverse_path.clone(),
            generation: 0,
        }
    }

    /// An earlier message with the same retry identity of which every copy is still held, and the
    /// reverse-path that it came with: a forwarder's SRS address is another one every day.
    pub(crate) fn earlier(&self, db: &Connection) -> rusqlite::Result<Option<Earlier>> {
        let Some(identity) = self.facts.as_ref().and_then(|facts| facts.identity) else {
            return Ok(None);
        };
        db.prepare_cached(
            "SELECT f.message, m.reverse_path, m.generation FROM facts f JOIN message m ON m.id = f.message
             WHERE f.identity = ?1 AND m.refused = ?2 AND NOT EXISTS (
               SELECT 1 FROM recipient r WHERE r.message = f.message AND r.state <> 'held')
             LIMIT 1",
        )?
        .query_row(params![identity, self.refused], |row| {
            Ok(Earlier {
                id: Id(row.get(0)?),
                reverse_path: rows::reverse_path(row, 1)?,
                generation: row.get(2)?,
            })
        })
        .optional()
    }
}
