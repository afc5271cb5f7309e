//! gzip (RFC 1952): the name in its header, and what is packed in all of its members.

use super::blob::Blob;
use super::cause::{Cause, Limit};
use super::inflate::{At, Inflate};
use super::look::{Go, Look};

/// Longest header that is read, in octets.
const MAX_HEADER: usize = 70 * 1024;

/// A gzip file, member by member; their contents are one file.
pub(super) struct Gzip {
    name: String,
    place: String,
    blob: Box<Blob>,
    state: State,
}

enum State {
    /// In a header, of which so much has come.
    Header(Vec<u8>),
    Packed(Box<Inflate>),
    /// Sum and length, of which so many octets are to come.
    Trailer(usize),
    /// Something else follows.
    Done,
}

/// What the start of a member is.
enum Head {
    /// More has to come.
    Short,
    /// A header of that length, with the name in it.
    Whole(usize, Option<Vec<u8>>),
    /// No header.
    No,
}

impl Gzip {
    pub(super) fn new(name: &str, place: &str, depth: usize) -> Self {
        let inside = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        Self {
            name: name.to_owned(),
            place: place.to_owned(),
            blob: Box::new(Blob::new(inside, &format!("{place}/{inside}"), depth + 1)),
            state: State::Header(Vec::new()),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], look: &mut Look<'_>) -> Go {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Header(_) => self.header(bytes, look)?,
                State::Packed(_) => self.packed(bytes, look)?,
                State::Trailer(left) => {
                    let some = bytes.len().min(*left);
                    *left -= some;
                    if *left == 0 {
                        self.state = State::Header(Vec::new());
                    }
                    &bytes[some..]
                }
                State::Done => return Ok(()),
            };
        }
        Ok(())
    }

    fn header<'b>(
        &mut self,
        bytes: &'b [u8],
        look: &mut Look<'_>,
    ) -> Result<&'b [u8], super::look::Stop> {
        let State::Header(held) = &mut self.state else {
            return Ok(bytes);
        };
        let before = held.len();
        held.extend_from_slice(bytes);
        look.within(before <= MAX_HEADER, Limit::Form)?;
        match head(held) {
            Head::Short => Ok(&[]),
            Head::No => {
                self.state = State::Done;
                Ok(&[])
            }
            Head::Whole(length, name) => {
                if let Some(name) = name {
                    for name in super::words::readings(&name) {
                        look.name(&name, &self.place)?;
                    }
                }
                self.state = State::Packed(Box::new(Inflate::new()));
                Ok(&bytes[length - before..])
            }
        }
    }

    fn packed<'b>(
        &mut self,
        bytes: &'b [u8],
        look: &mut Look<'_>,
    ) -> Result<&'b [u8], super::look::Stop> {
        let State::Packed(inflate) = &mut self.state else {
            return Ok(bytes);
        };
        match inflate.feed(bytes, &mut self.blob, look)? {
            At::Middle => Ok(&[]),
            At::End(used) => {
                self.state = State::Trailer(8);
                Ok(&bytes[used..])
            }
            At::Broken => {
                self.state = State::Done;
                look.find(Cause::Closed("broken gzip"), &self.name, &self.place)?;
                Ok(&[])
            }
        }
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        if matches!(self.state, State::Packed(_)) {
            look.find(Cause::Closed("broken gzip"), &self.name, &self.place)?;
        }
        self.blob.end(look)
    }
}

/// Reads a member's header (RFC 1952 §2.3).
fn head(held: &[u8]) -> Head {
    if held.len() < 10 {
        return if b"\x1f\x8b\x08".starts_with(&held[..held.len().min(3)]) {
            Head::Short
        } else {
            Head::No
        };
    }
    if !held.starts_with(b"\x1f\x8b\x08") {
        return Head::No;
    }
    whole(held).map_or(Head::Short, |(length, name)| Head::Whole(length, name))
}

fn whole(held: &[u8]) -> Option<(usize, Option<Vec<u8>>)> {
    let flags = held[3];
    let mut at = 10;
    if flags & 4 != 0 {
        let length = held.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    let mut name = None;
    if flags & 8 != 0 {
        let text = text(held, at)?;
        at += text.len() + 1;
        name = Some(text.to_vec());
    }
    if flags & 16 != 0 {
        at += text(held, at)?.len() + 1;
    }
    at += usize::from(flags & 2);
    (held.len() >= at).then_some((at, name))
}

/// The octets up to the next zero.
fn text(held: &[u8], at: usize) -> Option<&[u8]> {
    let rest = held.get(at..)?;
    let end = memchr::memchr(0, rest)?;
    Some(&rest[..end])
}
