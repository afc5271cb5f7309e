//! Feedback: what scanners are still to be told about messages that a person released or discarded.
//!
//! A row is made in the commit of the deed, so that nothing is lost; the bytes stay until it is gone.

use std::time::Duration;

use posthouse_hook::{Id, Judgement, Lesson, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::model::LessonDue;
use crate::rows::unreadable;
use crate::{forget, tally};

/// How long to wait after each try that failed; after the last there is none.
const WAITS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(6 * 3600),
];
/// Lessons that were learned are counted here, and those that were given up.
pub(crate) const LEARNED_KEY: &str = "lessons learned";
pub(crate) const GIVEN_UP_KEY: &str = "lessons given up";

fn name(lesson: Lesson) -> &'static str {
    match lesson {
        Lesson::Ham => "ham",
        Lesson::Spam => "spam",
    }
}

fn parse(name: &str) -> Option<Lesson> {
    match name {
        "ham" => Some(Lesson::Ham),
        "spam" => Some(Lesson::Spam),
        _ => None,
    }
}

/// Notes a lesson, unless no scanner was asked about the message. The last word holds.
pub(crate) fn note(
    db: &Connection,
    message: Id,
    lesson: Lesson,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if !was_scanned(db, message)? {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO feedback (message, lesson, due_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (message) DO UPDATE
         SET lesson = excluded.lesson, tries = 0, due_at = excluded.due_at",
    )?
    .execute(params![message.0, name(lesson), now.0])?;
    Ok(())
}

fn was_scanned(db: &Connection, message: Id) -> rusqlite::Result<bool> {
    let judgement: Option<String> = db
        .prepare_cached("SELECT judgement FROM facts WHERE message = ?1")?
        .query_row([message.0], |row| row.get(0))
        .optional()?;
    let judgement =
        judgement.and_then(|json| serde_json::from_str::<Option<Judgement>>(&json).ok());
    Ok(judgement.flatten().is_some_and(|j| !j.scans.0.is_empty()))
}

/// Lessons that are due, the longest first, at most `limit`.
pub(crate) fn due(
    db: &Connection,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<LessonDue>> {
    db.prepare_cached(
        "SELECT message, lesson, tries FROM feedback WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2",
    )?
    .query_map(params![now.0, limit], |row| {
        let lesson: String = row.get(1)?;
        Ok(LessonDue {
            message: Id(row.get(0)?),
            lesson: parse(&lesson).ok_or_else(|| unreadable(1, &lesson))?,
            tries: row.get(2)?,
        })
    })?
    .collect()
}

/// Ends a lesson that was learned. Returns the message if its bytes were a spool file that is to go.
pub(crate) fn learned(
    db: &Connection,
    due: &LessonDue,
    now: Timestamp,
) -> rusqlite::Result<Option<Id>> {
    tally::count(db, LEARNED_KEY, now)?;
    end(db, due)
}

/// Puts a lesson off, or gives it up after the last try.
pub(crate) fn failed(
    db: &Connection,
    due: &LessonDue,
    now: Timestamp,
) -> rusqlite::Result<Option<Id>> {
    let Some(wait) = WAITS.get(due.tries as usize) else {
        tally::count(db, GIVEN_UP_KEY, now)?;
        return end(db, due);
    };
    db.prepare_cached(
        "UPDATE feedback SET tries = tries + 1, due_at = ?3 WHERE message = ?1 AND lesson = ?2",
    )?
    .execute(params![due.message.0, name(due.lesson), now.after(*wait).0])?;
    Ok(None)
}

/// A lesson that was changed meanwhile stays.
fn end(db: &Connection, due: &LessonDue) -> rusqlite::Result<Option<Id>> {
    db.prepare_cached("DELETE FROM feedback WHERE message = ?1 AND lesson = ?2")?
        .execute(params![due.message.0, name(due.lesson)])?;
    forget::forget_if_done(db, due.message)
}
