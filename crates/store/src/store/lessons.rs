//! Lessons for scanners: whether they are noted, which are due, and how they end.

use std::sync::atomic::Ordering;

use super::{Store, StoreError};
use crate::feedback;
use crate::model::LessonDue;

impl Store {
    /// Whether releases and discards by people are noted as lessons from now on: only if some
    /// scanner learns.
    pub fn note_lessons(&self, note: bool) {
        self.0.noting.store(note, Ordering::Relaxed);
    }

    pub(super) fn notes_lessons(&self) -> bool {
        self.0.noting.load(Ordering::Relaxed)
    }

    /// Resolves when a lesson was noted.
    pub async fn lesson_noted(&self) {
        self.0.lessons.notified().await;
    }

    /// Lessons that are due, the longest first, at most `limit`.
    pub async fn lessons_due(&self, limit: usize) -> Result<Vec<LessonDue>, StoreError> {
        let now = self.now();
        self.0
            .readers
            .read(move |db| feedback::due(db, limit, now))
            .await
    }

    /// Ends a lesson that every scanner has learned, or that there is nothing of to learn. Bytes
    /// that were kept for it go.
    pub async fn learned(&self, due: LessonDue) -> Result<(), StoreError> {
        let now = self.now();
        let file = self
            .write(move |db| feedback::learned(db, &due, now))
            .await?;
        self.remove_files(file);
        Ok(())
    }

    /// Puts a lesson off that some scanner did not learn; gives it up after the last try.
    pub async fn not_learned(&self, due: LessonDue) -> Result<(), StoreError> {
        let now = self.now();
        let file = self
            .write(move |db| feedback::failed(db, &due, now))
            .await?;
        self.remove_files(file);
        Ok(())
    }
}
