//! tar (POSIX ustar, pax, GNU, and older): names of members, and what they hold.
//!
//! Whatever is no header is passed over block by block, as `tar --ignore-zeros` does.

use super::blob::Blob;
use super::look::{Go, Look};
use super::words;

/// Octets of a block.
const BLOCK: usize = 512;
/// Octets that are kept of a long name or of pax records.
const MAX_RECORD: usize = 64 * 1024;

/// A tar archive.
pub(super) struct Tar {
    place: String,
    depth: usize,
    header: Vec<u8>,
    /// Octets to come of the member, and of what fills its last block.
    left: u64,
    fill: u64,
    member: Member,
    /// Names from members that only name the next one.
    long: Vec<Vec<u8>>,
}

enum Member {
    None,
    /// Long names or pax records.
    Record(u8, Vec<u8>),
    File(Box<Blob>),
}

/// Whether a block is a header: its sum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Some(sum) = block.get(148..156).filter(|_| block.len() >= BLOCK) else {
        return false;
    };
    let field = 148..156;
    let octets = block[..BLOCK].iter().enumerate();
    let real: u64 = octets
        .map(|(at, byte)| {
            if field.contains(&at) {
                32
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    real != 8 * 32 && octal(sum) == Some(real)
}

impl Tar {
    pub(super) fn new(place: &str, depth: usize) -> Self {
        Self {
            place: place.to_owned(),
            depth,
            header: Vec::with_capacity(BLOCK),
            left: 0,
            fill: 0,
            member: Member::None,
            long: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], look: &mut Look<'_>) -> Go {
        while !bytes.is_empty() {
            let some = if self.left > 0 {
                let some = take(bytes, &mut self.left);
                self.content(&bytes[..some], look)?;
                some
            } else if self.fill > 0 {
                take(bytes, &mut self.fill)
            } else {
                let some = bytes.len().min(BLOCK - self.header.len());
                self.header.extend_from_slice(&bytes[..some]);
                self.block(look)?;
                some
            };
            bytes = &bytes[some..];
        }
        Ok(())
    }

    fn content(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        match &mut self.member {
            Member::None => {}
            Member::Record(_, held) => {
                let room = MAX_RECORD.saturating_sub(held.len());
                held.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Member::File(blob) => blob.feed(bytes, look)?,
        }
        if self.left == 0 {
            self.close(look)
        } else {
            Ok(())
        }
    }

    fn close(&mut self, look: &mut Look<'_>) -> Go {
        match std::mem::replace(&mut self.member, Member::None) {
            Member::None => Ok(()),
            Member::Record(kind, held) => {
                self.long.extend(record_names(kind, &held));
                Ok(())
            }
            Member::File(mut blob) => blob.end(look),
        }
    }

    /// Reads a header once its block is whole.
    fn block(&mut self, look: &mut Look<'_>) -> Go {
        if self.header.len() < BLOCK {
            return Ok(());
        }
        let header = std::mem::take(&mut self.header);
        if !is_header(&header) {
            return Ok(());
        }
        self.left = size(&header[124..136]);
        self.fill = (BLOCK as u64 - self.left % BLOCK as u64) % BLOCK as u64;
        look.member()?;
        match header[156] {
            kind @ (b'L' | b'K' | b'x' | b'g' | b'X') => {
                self.member = Member::Record(kind, Vec::new());
                Ok(())
            }
            kind => self.open(kind, name(&header), look),
        }
    }

    /// A member begins: each of its names counts, links' and directories' too.
    fn open(&mut self, kind: u8, short: Vec<u8>, look: &mut Look<'_>) -> Go {
        let mut names = std::mem::take(&mut self.long);
        names.push(short);
        let place = format!("{}/{}", self.place, String::from_utf8_lossy(&names[0]));
        for name in names
            .iter()
            .filter(|name| kind != b'5' && !name.ends_with(b"/"))
        {
            for name in words::readings(name) {
                look.name(&name, &place)?;
            }
        }
        if matches!(kind, b'1'..=b'6') {
            // Links, devices and directories hold nothing, whatever their size says.
            (self.left, self.fill) = (0, 0);
            return Ok(());
        }
        let name = String::from_utf8_lossy(&names[0]).into_owned();
        self.member = Member::File(Box::new(Blob::new(&name, &place, self.depth + 1)));
        if self.left == 0 {
            self.close(look)
        } else {
            Ok(())
        }
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        self.close(look)
    }
}

/// As many octets as there are and are wanted.
fn take(bytes: &[u8], left: &mut u64) -> usize {
    let some = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    *left -= some as u64;
    some
}

fn name(header: &[u8]) -> Vec<u8> {
    let text = |field: &[u8]| {
        field
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    let (short, prefix) = (text(&header[..100]), text(&header[345..500]));
    if prefix.is_empty() || &header[257..262] != b"ustar" {
        return short;
    }
    [&prefix[..], b"/", &short].concat()
}

/// The names in a GNU long name, or in pax records (`27 path=a/b.exe`).
fn record_names(kind: u8, held: &[u8]) -> Vec<Vec<u8>> {
    if matches!(kind, b'L' | b'K') {
        return vec![
            held.split(|byte| *byte == 0)
                .next()
                .unwrap_or_default()
                .to_vec(),
        ];
    }
    let records = held.split(|byte| *byte == b'\n').take(1000);
    let path = |record: &[u8]| {
        let at = memchr::memmem::find(record, b" path=")?;
        Some(record[at + 6..].to_vec())
    };
    records.filter_map(path).collect()
}

/// A size: octal digits, or base 256 if the first bit is set.
fn size(field: &[u8]) -> u64 {
    if field[0] & 0x80 == 0 {
        return octal(field).unwrap_or(0);
    }
    let low = &field[field.len() - 8..];
    low.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?;
    let text = text.trim_matches(|c: char| c == '\0' || c == ' ');
    u64::from_str_radix(text.split(['\0', ' ']).next()?, 8).ok()
}
