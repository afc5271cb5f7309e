//! zip (PKWARE's APPNOTE), as every reader at once would see it.
//!
//! Some readers follow the central directory, some the local headers, some look for either behind
//! other data. So both are looked for in the whole stream, by their signatures, and each local
//! header's data is unpacked from where it stands, whatever the directory says. No zip is too
//! broken for that, and none needs more memory than its open members.

use super::blob::Blob;
use super::cause::{Cause, Kind};
use super::inflate::{At, Inflate};
use super::look::{Go, Look, Stop};
use super::words;

const LOCAL: usize = 30;
const CENTRAL: usize = 46;
/// What is scanned is forgotten once it is so much, in octets.
const FORGET: usize = 64 * 1024;

/// A stream that may hold a zip anywhere.
pub(super) struct Zip {
    name: String,
    place: String,
    depth: usize,
    held: Vec<u8>,
    /// Where `held` begins in the stream.
    base: u64,
    /// Where in `held` to look on, and how much has to be held before that makes sense.
    from: usize,
    need: usize,
    open: Vec<Member>,
}

struct Member {
    place: String,
    blob: Box<Blob>,
    /// The octet that it takes next.
    at: u64,
    packing: Packing,
}

enum Packing {
    /// As it is, at least up to there; in fact up to the next header, as the sizes may lie.
    Stored(u64),
    Deflated(Box<Inflate>),
}

/// A header, local or of the central directory.
struct Header<'b> {
    flags: u16,
    method: u16,
    packed: u64,
    name: &'b [u8],
    extra: &'b [u8],
}

/// What stands at a signature.
enum Found<'b> {
    Nothing,
    /// It wants so many octets.
    Short(usize),
    Local(Header<'b>, usize),
    Central(Header<'b>),
}

impl Zip {
    pub(super) fn new(name: &str, place: &str, depth: usize) -> Self {
        Self {
            name: name.to_owned(),
            place: place.to_owned(),
            depth,
            held: Vec::new(),
            base: 0,
            from: 0,
            need: 0,
            open: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= self.need {
            self.scan(false, look)?;
        }
        let end = self.base + self.held.len() as u64;
        self.feed_members(end, look)?;
        if self.from >= FORGET {
            self.held.drain(..self.from);
            self.base += self.from as u64;
            self.need = self.need.saturating_sub(self.from);
            self.from = 0;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        self.scan(true, look)?;
        self.feed_members(self.base + self.held.len() as u64, look)?;
        for mut member in std::mem::take(&mut self.open) {
            look.closes();
            if matches!(member.packing, Packing::Deflated(_)) {
                look.find(Cause::Closed("broken zip"), &self.name, &member.place)?;
            }
            member.blob.end(look)?;
        }
        Ok(())
    }

    /// Looks for headers in what is held. At the end of the stream one that is cut off is passed over.
    fn scan(&mut self, ended: bool, look: &mut Look<'_>) -> Go {
        let held = std::mem::take(&mut self.held);
        let went = self.scan_in(&held, ended, look);
        self.held = held;
        went
    }

    fn scan_in(&mut self, held: &[u8], ended: bool, look: &mut Look<'_>) -> Go {
        self.need = 0;
        while let Some(at) = memchr::memmem::find(&held[self.from..], b"PK") {
            let at = self.from + at;
            match found(&held[at..]) {
                Found::Short(need) if !ended => {
                    (self.from, self.need) = (at, at + need);
                    return Ok(());
                }
                Found::Local(header, length) => {
                    self.close_before(held, at, look)?;
                    self.local(&header, self.base + (at + length) as u64, look)?;
                }
                Found::Central(header) => {
                    self.close_before(held, at, look)?;
                    self.names(&header, look)?;
                }
                Found::Short(_) | Found::Nothing => {}
            }
            self.from = at + 2;
        }
        self.from = self.from.max(held.len().saturating_sub(1));
        Ok(())
    }

    /// A member begins at `start`.
    fn local(&mut self, header: &Header<'_>, start: u64, look: &mut Look<'_>) -> Go {
        look.member()?;
        look.depth(self.depth + 1)?;
        let name = self.names(header, look)?;
        let place = format!("{}/{name}", self.place);
        let packing = match header.method {
            _ if header.is_encrypted() => return Ok(()),
            0 => Packing::Stored(start.saturating_add(header.packed)),
            8 => Packing::Deflated(Box::new(Inflate::new())),
            _ => return look.find(Cause::Closed("packed by a rare method"), &name, &place),
        };
        look.opens()?;
        let mut blob = Blob::new(&name, &place, self.depth + 1);
        if matches!(packing, Packing::Stored(_)) {
            // A zip in it is in this stream too.
            blob.forget_zip();
        }
        self.open.push(Member {
            place,
            blob: Box::new(blob),
            at: start,
            packing,
        });
        Ok(())
    }

    /// Checks an entry's names; gives the plainest.
    fn names(&self, header: &Header<'_>, look: &mut Look<'_>) -> Result<String, Stop> {
        let plain = String::from_utf8_lossy(header.name).into_owned();
        let place = format!("{}/{plain}", self.place);
        for name in [Some(header.name), unicode_path(header.extra)]
            .into_iter()
            .flatten()
        {
            if name.ends_with(b"/") {
                continue;
            }
            for name in words::readings(name) {
                look.name(&name, &place)?;
            }
        }
        if header.is_encrypted() {
            look.find(Cause::Encrypted, &plain, &place)?;
        }
        if plain.to_ascii_lowercase().ends_with("vbaproject.bin") {
            look.find(Cause::Kind(Kind::Macro), &self.name, &place)?;
        }
        Ok(plain)
    }

    /// Stored members whose sizes are used up end where the next header begins.
    fn close_before(&mut self, held: &[u8], at: usize, look: &mut Look<'_>) -> Go {
        let here = self.base + at as u64;
        for mut member in std::mem::take(&mut self.open) {
            match member.packing {
                Packing::Stored(end) if end <= here && member.at <= here => {
                    let start = usize::try_from(member.at - self.base).unwrap_or(0);
                    look.closes();
                    member.blob.feed(&held[start.min(at)..at], look)?;
                    member.blob.end(look)?;
                }
                _ => self.open.push(member),
            }
        }
        Ok(())
    }

    /// Gives every open member what has come of it.
    fn feed_members(&mut self, end: u64, look: &mut Look<'_>) -> Go {
        for mut member in std::mem::take(&mut self.open) {
            if member.at >= end {
                self.open.push(member);
                continue;
            }
            let start = usize::try_from(member.at - self.base).unwrap_or(0);
            member.at = end;
            match member.feed(&self.held[start..], look)? {
                At::Middle => self.open.push(member),
                At::End(_) => {
                    look.closes();
                    member.blob.end(look)?;
                }
                At::Broken => {
                    look.closes();
                    look.find(Cause::Closed("broken zip"), &self.name, &member.place)?;
                    member.blob.end(look)?;
                }
            }
        }
        Ok(())
    }
}

impl Member {
    fn feed(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Result<At, Stop> {
        match &mut self.packing {
            Packing::Stored(_) => self.blob.feed(bytes, look).map(|()| At::Middle),
            Packing::Deflated(inflate) => inflate.feed(bytes, &mut self.blob, look),
        }
    }
}

impl Header<'_> {
    /// Encrypted (bit 0), by strong encryption (6, 13), or by AES (method 99).
    fn is_encrypted(&self) -> bool {
        self.flags & 0x2041 != 0 || self.method == 99
    }
}

/// Reads what stands at `PK`.
fn found(at: &[u8]) -> Found<'_> {
    let (fixed, local) = match at.get(2..4) {
        None => return Found::Short(4),
        Some(b"\x03\x04") => (LOCAL, true),
        Some(b"\x01\x02") => (CENTRAL, false),
        Some(_) => return Found::Nothing,
    };
    if at.len() < fixed {
        return Found::Short(fixed);
    }
    // The local header's fields are the central one's, two octets further in front.
    let fields = if local { &at[6..] } else { &at[8..] };
    let two = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
    let (flags, method) = (two(0), two(2));
    if method > 100 {
        return Found::Nothing;
    }
    let packed = u32::from_le_bytes([fields[12], fields[13], fields[14], fields[15]]);
    let (name, extra) = (usize::from(two(20)), usize::from(two(22)));
    let length = fixed + name + extra;
    if at.len() < length {
        return Found::Short(length);
    }
    let header = Header {
        flags,
        method,
        packed: u64::from(packed),
        name: &at[fixed..fixed + name],
        extra: &at[fixed + name..length],
    };
    if local {
        Found::Local(header, length)
    } else {
        Found::Central(header)
    }
}

/// The name in Info-ZIP's Unicode path field (0x7075), which some readers prefer.
fn unicode_path(mut extra: &[u8]) -> Option<&[u8]> {
    while let [a, b, c, d, rest @ ..] = extra {
        let length = usize::from(u16::from_le_bytes([*c, *d])).min(rest.len());
        let (field, behind) = rest.split_at(length);
        if u16::from_le_bytes([*a, *b]) == 0x7075 {
            return field.get(5..);
        }
        extra = behind;
    }
    None
}
