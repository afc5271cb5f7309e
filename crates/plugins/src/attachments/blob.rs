//! The content of one file, as it comes: what it is, and what is in it.

use super::cause::Cause;
use super::gzip::Gzip;
use super::look::{Go, Look};
use super::magic::{self, CLOSED_NAMES, HEAD, Magic};
use super::mime::Walker;
use super::names::ends_in;
use super::needles::Needles;
use super::tar::Tar;
use super::zip::Zip;

/// Names of files that hold a message.
const MESSAGES: &[&str] = &["eml", "mht", "mhtml", "mim", "mime", "nws", "emlx"];

/// One file: a part's body in one reading, a member of an archive.
pub(super) struct Blob {
    name: String,
    place: String,
    depth: usize,
    zip: Option<Box<Zip>>,
    message: Option<Box<Walker>>,
    inside: Inside,
}

/// What it is by its content.
enum Inside {
    /// So much has come, and it is not yet known.
    Unknown(Vec<u8>),
    Gzip(Box<Gzip>),
    Tar(Box<Tar>),
    Ole(Needles),
    /// Nothing that is looked into further.
    Other,
}

impl Blob {
    /// A file of that name, that lies so deep.
    pub(super) fn new(name: &str, place: &str, depth: usize) -> Self {
        let message = ends_in(name, MESSAGES).map(|_| Walker::message(depth + 1, place.to_owned()));
        Self {
            name: name.to_owned(),
            place: place.to_owned(),
            depth,
            zip: Some(Box::new(Zip::new(name, place, depth))),
            message: message.map(Box::new),
            inside: Inside::Unknown(Vec::new()),
        }
    }

    /// Somebody else looks for zips in it.
    pub(super) fn forget_zip(&mut self) {
        self.zip = None;
    }

    /// It is a message, or a part of one.
    pub(super) fn is_message(&mut self, walker: Walker) {
        self.message = Some(Box::new(walker));
    }

    pub(super) fn feed(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(zip) = &mut self.zip {
            zip.feed(bytes, look)?;
        }
        if let Some(message) = &mut self.message {
            message.feed(bytes, look)?;
        }
        let Inside::Unknown(head) = &mut self.inside else {
            return self.inside(bytes, look);
        };
        let some = bytes.len().min(HEAD - head.len());
        head.extend_from_slice(&bytes[..some]);
        if head.len() < HEAD {
            return Ok(());
        }
        self.settle(look)?;
        self.inside(&bytes[some..], look)
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        self.settle(look)?;
        if let Some(zip) = &mut self.zip {
            zip.end(look)?;
        }
        if let Some(message) = &mut self.message {
            message.end(look)?;
        }
        match &mut self.inside {
            Inside::Gzip(gzip) => gzip.end(look),
            Inside::Tar(tar) => tar.end(look),
            Inside::Unknown(_) | Inside::Ole(_) | Inside::Other => Ok(()),
        }
    }

    /// Enough has come to know what it is.
    fn settle(&mut self, look: &mut Look<'_>) -> Go {
        let Inside::Unknown(head) = &mut self.inside else {
            return Ok(());
        };
        let head = std::mem::take(head);
        self.inside = match magic::of(&head) {
            Magic::Gzip => {
                look.depth(self.depth + 1)?;
                Inside::Gzip(Box::new(Gzip::new(&self.name, &self.place, self.depth)))
            }
            Magic::Tar => {
                look.depth(self.depth + 1)?;
                Inside::Tar(Box::new(Tar::new(&self.place, self.depth)))
            }
            Magic::Ole => Inside::Ole(Needles::default()),
            Magic::Kind(kind) => {
                look.find(Cause::Kind(kind), &self.name, &self.place)?;
                Inside::Other
            }
            Magic::Closed(what) => {
                look.find(Cause::Closed(what), &self.name, &self.place)?;
                Inside::Other
            }
            Magic::Other => {
                if let Some(what) = ends_in(&self.name, CLOSED_NAMES) {
                    look.find(Cause::Closed(what), &self.name, &self.place)?;
                }
                Inside::Other
            }
        };
        self.inside(&head, look)
    }

    fn inside(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        match &mut self.inside {
            Inside::Gzip(gzip) => gzip.feed(bytes, look),
            Inside::Tar(tar) => tar.feed(bytes, look),
            Inside::Ole(needles) => match needles.feed(bytes) {
                Some(cause) => look.find(cause, &self.name, &self.place),
                None => Ok(()),
            },
            Inside::Unknown(_) | Inside::Other => Ok(()),
        }
    }
}
