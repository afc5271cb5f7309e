//! Which pages were looked at just now, so that reloading a page does not flood the audit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use posthouse_hook::{Id, LinkKind, Timestamp};

/// Within this span a second look at the same page is no news.
const QUIET: Duration = Duration::from_secs(600);
/// Pages that are remembered at most.
const MAX_PAGES: usize = 1024;

/// Through what kind of link, and what was looked at.
pub(crate) type Page = (LinkKind, Id);

/// When each page was last written into the audit. Lost at a restart, which costs a line each.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<Page, Timestamp>>);

impl Seen {
    /// Whether a look at `page` is worth a line; if so, the next looks are not.
    pub(crate) fn is_news(&self, page: Page, now: Timestamp) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |last: &Timestamp| now.since(*last) < QUIET;
        if seen.get(&page).is_some_and(recent) {
            return false;
        }
        if seen.len() >= MAX_PAGES {
            seen.retain(|_, last| recent(last));
        }
        if seen.len() >= MAX_PAGES {
            seen.clear();
        }
        seen.insert(page, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(id: i64) -> Page {
        (LinkKind::Address, Id(id))
    }

    #[test]
    fn a_reload_is_no_news_until_later() {
        let (seen, start) = (Seen::default(), Timestamp(1_000_000));
        assert!(seen.is_news(page(1), start));
        assert!(!seen.is_news(page(1), start.after(Duration::from_secs(599))));
        assert!(seen.is_news(page(2), start));
        assert!(seen.is_news((LinkKind::Item, Id(1)), start));
        assert!(seen.is_news(page(1), start.after(QUIET)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (seen, now) = (Seen::default(), Timestamp(0));
        for id in 0..10_000 {
            assert!(seen.is_news(page(id), now));
        }
        assert!(seen.0.lock().expect("not poisoned").len() <= MAX_PAGES);
    }
}
