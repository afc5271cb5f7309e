//! `gtube`: finds the GTUBE test string. A scanner for demos and tests: it measures and passes.

use std::sync::Arc;

use async_trait::async_trait;
use memchr::memmem::Finder;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{Content, HookPoint, Plugin, Scan, Scanned, Session, Transaction, Verdict};
use serde::Deserialize;

use crate::options::{BuildError, Options};
use crate::scan::{self, Chunks};
use crate::surroundings::Surroundings;

/// The string that every spam scanner calls spam, so that one can be tested without any.
const GTUBE: &[u8; 68] = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// No options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Gtube {
    name: String,
    finder: Finder<'static>,
}

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    _parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let Config {} = options.read()?;
    Ok(Arc::new(Gtube {
        name: name.to_owned(),
        finder: Finder::new(GTUBE),
    }))
}

#[async_trait]
impl Plugin for Gtube {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Measures
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let scan = match self.is_in(&tx.message.content).await {
            Ok(true) => self.scan(Scanned::Spam, &["GTUBE"]),
            Ok(false) => self.scan(Scanned::Clean, &[]),
            Err(error) => scan::unscanned(&self.name, scan::unreadable(&error)),
        };
        scan::leave(session, tx, scan);
        Ok(Verdict::Pass)
    }
}

impl Gtube {
    /// Looks through the message block by block; a string that lies across two is found too.
    async fn is_in(&self, content: &Content) -> std::io::Result<bool> {
        let mut chunks = Chunks::new(content.clone());
        let mut seam = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            seam.extend_from_slice(&chunk[..chunk.len().min(GTUBE.len() - 1)]);
            if self.finder.find(&seam).is_some() || self.finder.find(&chunk).is_some() {
                return Ok(true);
            }
            keep_tail(&mut seam, &chunk);
        }
        Ok(false)
    }

    fn scan(&self, found: Scanned, tests: &[&str]) -> Scan {
        Scan {
            scanner: self.name.clone(),
            found,
            score: None,
            limit: None,
            action: None,
            tests: scan::tests(tests.iter().copied()),
        }
    }
}

/// Leaves in `seam` the last octets seen, one fewer than the string has.
fn keep_tail(seam: &mut Vec<u8>, chunk: &[u8]) {
    let room = GTUBE.len() - 1;
    if chunk.len() >= room {
        seam.clear();
        seam.extend_from_slice(&chunk[chunk.len() - room..]);
    } else {
        seam.drain(..seam.len().saturating_sub(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::Trickle;

    fn gtube() -> Gtube {
        Gtube {
            name: "gtube".into(),
            finder: Finder::new(GTUBE),
        }
    }

    async fn found_in(parts: &[&[u8]]) -> bool {
        let content = Trickle::content(parts);
        gtube().is_in(&content).await.expect("readable")
    }

    #[tokio::test]
    async fn the_string_is_found_wherever_the_blocks_end() {
        for cut in 0..=GTUBE.len() {
            let (a, b) = GTUBE.split_at(cut);
            assert!(
                found_in(&[b"Subject: x\r\n\r\n", a, b, b"\r\n"]).await,
                "{cut}"
            );
        }
        let octets: Vec<&[u8]> = GTUBE.chunks(1).collect();
        assert!(found_in(&octets).await);
    }

    #[tokio::test]
    async fn less_than_the_string_is_not_found() {
        assert!(!found_in(&[]).await);
        assert!(!found_in(&[&GTUBE[..67], b"x"]).await);
        assert!(!found_in(&[&GTUBE[..40], b" ", &GTUBE[40..]]).await);
    }
}
