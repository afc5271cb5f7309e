//! What people do with held and queued copies.

use super::{Store, StoreError};
use crate::copies::{self, Change};
use posthouse_hook::{Id, Lesson};

use crate::model::{Actor, Address, Done, ReleaseCaps, Released, Selection};
use crate::state::{Event, State};
use crate::{feedback, forget, quarantine};

impl Store {
    /// Held → queued. With caps: all of the selection or nothing.
    pub async fn release(
        &self,
        what: Selection,
        caps: Option<ReleaseCaps>,
        by: Actor,
    ) -> Result<Released, StoreError> {
        let (now, notes) = (self.now(), self.notes_lessons());
        let released = self
            .write(move |db| {
                let released = quarantine::release(db, &what, caps.as_ref(), &by, now)?;
                if notes && did_something(&released) {
                    feedback::note(db, what.item, Lesson::Ham, now)?;
                }
                Ok(released)
            })
            .await?;
        self.0.changed.notify_one();
        self.0.lessons.notify_one();
        Ok(released)
    }

    /// Held → queued, of one recipient's own copy, at most `daily` times a day: for its owner, where
    /// the operator allows that.
    pub async fn release_own(
        &self,
        address: &Address,
        item: Id,
        daily: u32,
        by: Actor,
    ) -> Result<Released, StoreError> {
        let (now, owner) = (self.now(), address.address.clone());
        let notes = self.notes_lessons();
        let what = Selection {
            item,
            addresses: vec![owner.clone()],
        };
        let released = self
            .write(move |db| {
                let released = quarantine::release_own(db, &what, &owner, daily, &by, now)?;
                if notes && did_something(&released) {
                    feedback::note(db, item, Lesson::Ham, now)?;
                }
                Ok(released)
            })
            .await?;
        self.0.changed.notify_one();
        self.0.lessons.notify_one();
        Ok(released)
    }

    /// Drops held copies.
    pub async fn discard_held(&self, what: Selection, by: Actor) -> Result<Done, StoreError> {
        self.discard(what, &[State::Held], by).await
    }

    /// Drops copies that wait in the queue.
    pub async fn discard_queued(&self, what: Selection, by: Actor) -> Result<Done, StoreError> {
        self.discard(
            what,
            &[State::Queued, State::Deferred, State::Suspended],
            by,
        )
        .await
    }

    async fn discard(
        &self,
        what: Selection,
        states: &'static [State],
        by: Actor,
    ) -> Result<Done, StoreError> {
        let now = self.now();
        let notes = self.notes_lessons() && states == [State::Held];
        let (done, file) = self
            .write(move |db| {
                let done = quarantine::discard(db, &what, states, &by, now)?;
                if notes && done.changed > 0 {
                    feedback::note(db, what.item, Lesson::Spam, now)?;
                }
                Ok((done, forget::forget_if_done(db, what.item)?))
            })
            .await?;
        self.remove_files(file);
        self.0.lessons.notify_one();
        Ok(done)
    }

    /// Makes deferred and suspended copies due now.
    pub async fn retry(&self, what: Selection, by: Actor) -> Result<Done, StoreError> {
        let done = self
            .operate(what, &[State::Deferred, State::Suspended], Event::Retry, by)
            .await?;
        self.0.changed.notify_one();
        Ok(done)
    }

    /// Stops attempts until [`Store::retry`].
    pub async fn suspend(&self, what: Selection, by: Actor) -> Result<Done, StoreError> {
        self.operate(what, &[State::Queued, State::Deferred], Event::Suspend, by)
            .await
    }

    async fn operate(
        &self,
        what: Selection,
        states: &'static [State],
        event: Event,
        by: Actor,
    ) -> Result<Done, StoreError> {
        let now = self.now();
        self.write(move |db| {
            let due_at = (event == Event::Retry).then_some(now);
            let change = Change::of(event, now, due_at);
            copies::apply_to(db, &what, states, &change, &by)
        })
        .await
    }
}

fn did_something(released: &Released) -> bool {
    matches!(released, Released::Done(done) if done.changed > 0)
}
