//! What a file is by its first octets.
//!
//! A table of our own: the crate `infer` takes any text that begins with `MZ` for a program, and
//! does not know shortcuts, tar archives by their sums, or the archives that cannot be looked into.

use super::cause::Kind;

/// Octets that [`of`] wants to see, if there are as many.
pub(super) const HEAD: usize = 512;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    /// A kind that a rule may be about.
    Kind(Kind),
    /// A compound file: documents of Office, installers, mail of Outlook.
    Ole,
    /// gzip (RFC 1952).
    Gzip,
    /// tar, of any age.
    Tar,
    /// An archive that is not looked into.
    Closed(&'static str),
    /// Anything else.
    Other,
}

const TABLE: &[(&[u8], Magic)] = &[
    (b"\x7fELF", Magic::Kind(Kind::Executable)),
    (b"\xfe\xed\xfa\xce", Magic::Kind(Kind::Executable)),
    (b"\xfe\xed\xfa\xcf", Magic::Kind(Kind::Executable)),
    (b"\xce\xfa\xed\xfe", Magic::Kind(Kind::Executable)),
    (b"\xcf\xfa\xed\xfe", Magic::Kind(Kind::Executable)),
    (b"\xca\xfe\xba\xbe", Magic::Kind(Kind::Executable)),
    (b"\xca\xfe\xba\xbf", Magic::Kind(Kind::Executable)),
    (b"dex\n03", Magic::Kind(Kind::Executable)),
    (b"#!", Magic::Kind(Kind::Script)),
    (b"\xef\xbb\xbf#!", Magic::Kind(Kind::Script)),
    (b"\x4c\0\0\0\x01\x14\x02\0", Magic::Kind(Kind::Shortcut)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Magic::Ole),
    (b"\x1f\x8b", Magic::Gzip),
    (b"7z\xbc\xaf\x27\x1c", Magic::Closed("7z")),
    (b"Rar!\x1a\x07", Magic::Closed("rar")),
    (b"RE~^", Magic::Closed("rar")),
    (b"\xfd7zXZ\0", Magic::Closed("xz")),
    (b"BZh", Magic::Closed("bzip2")),
    (b"\x28\xb5\x2f\xfd", Magic::Closed("zstd")),
    (b"\x04\x22\x4d\x18", Magic::Closed("lz4")),
    (b"LZIP", Magic::Closed("lzip")),
    (b"\x1f\x9d", Magic::Closed("compress")),
    (b"\x1f\xa0", Magic::Closed("compress")),
    (b"MSCF", Magic::Closed("cabinet")),
    (b"ISc(", Magic::Closed("cabinet")),
    (b"\x60\xea", Magic::Closed("arj")),
    (b"xar!", Magic::Closed("xar")),
    (b"ITSF", Magic::Closed("compiled help")),
    (b"!<arch>\n", Magic::Closed("ar")),
    (b"\x78\x9f\x3e\x22", Magic::Closed("TNEF")),
    (
        b"(This file must be converted with BinHex",
        Magic::Closed("BinHex"),
    ),
];

/// Archives and images of disks by name, where the content tells nothing.
pub(super) const CLOSED_NAMES: &[&str] = &[
    "7z", "ace", "alz", "arc", "arj", "br", "bz2", "cab", "dmg", "egg", "img", "iso", "lha", "lz",
    "lzh", "lzma", "pea", "rar", "sit", "sitx", "tbz", "tbz2", "txz", "udf", "vhd", "vhdx", "xz",
    "zoo", "zpaq", "zst",
];

/// What a file is that begins so: [`HEAD`] octets, or all that there are.
pub(super) fn of(head: &[u8]) -> Magic {
    if is_dos(head) {
        return Magic::Kind(Kind::Executable);
    }
    if let Some((_, magic)) = TABLE.iter().find(|(start, _)| head.starts_with(start)) {
        return *magic;
    }
    if is_lha(head) {
        return Magic::Closed("lha");
    }
    if super::tar::is_header(head) {
        Magic::Tar
    } else {
        Magic::Other
    }
}

/// A program of DOS or Windows: its header has a zero octet early, which no text has.
fn is_dos(head: &[u8]) -> bool {
    let start = &head[..head.len().min(64)];
    (head.starts_with(b"MZ") || head.starts_with(b"ZM")) && start.contains(&0)
}

fn is_lha(head: &[u8]) -> bool {
    let method = head.get(2..7).unwrap_or_default();
    method.starts_with(b"-l") && method.ends_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_start() {
        let kind = |head: &[u8]| match of(head) {
            Magic::Kind(kind) => Some(kind.word()),
            _ => None,
        };
        assert_eq!(kind(b"MZ\x90\0\x03\0\0\0"), Some("executable"));
        assert_eq!(kind(b"MZ-80 was a computer"), None);
        assert_eq!(kind(b"#!/bin/sh\n"), Some("script"));
        assert_eq!(of(b"\x1f\x8b\x08"), Magic::Gzip);
        assert_eq!(of(b"!!-lh5-"), Magic::Closed("lha"));
        assert_eq!(of(b""), Magic::Other);
        assert_eq!(of(b"hello"), Magic::Other);
    }
}
