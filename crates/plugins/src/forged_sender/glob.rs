//! Patterns with `*`, `?` and `[…]`, compiled once. Matching takes no longer than the product of the
//! two lengths, both of which are bounded.

/// Longest pattern in characters.
const MAX_PATTERN: usize = 320;

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// `*`: any characters, or none.
    Any,
    /// `?`: one character.
    One,
    /// `[a-z_]`, or `[!a-z]` for all others.
    Set(Set),
    Only(char),
}

#[derive(Debug, Clone, PartialEq)]
struct Set {
    others: bool,
    ranges: Vec<(char, char)>,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glob(Vec<Piece>);

/// Whether the text has a character that only patterns have.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

impl Glob {
    /// Compiles a pattern; the error is for the operator.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_PATTERN {
            return Err(format!("a pattern is longer than {MAX_PATTERN} characters"));
        }
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                // Two stars mean no more than one.
                '*' if pieces.last() == Some(&Piece::Any) => {}
                '*' => pieces.push(Piece::Any),
                '?' => pieces.push(Piece::One),
                '[' => {
                    let (set, behind) = set(rest.as_str())
                        .ok_or_else(|| format!("`{text}`: `[` begins a set that `]` must end"))?;
                    pieces.push(Piece::Set(set));
                    rest = behind.chars();
                }
                c => pieces.push(Piece::Only(c)),
            }
        }
        Ok(Self(pieces))
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &[char]) -> bool {
        let (mut piece, mut at) = (0, 0);
        // Where the last star stands, and how far it reaches so far.
        let mut star = None;
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    star = Some((piece, at));
                    piece += 1;
                }
                Some(wanted) if wanted.takes(text[at]) => {
                    piece += 1;
                    at += 1;
                }
                _ => match star {
                    Some((starred, reach)) => {
                        star = Some((starred, reach + 1));
                        (piece, at) = (starred + 1, reach + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0[piece..].iter().all(|p| *p == Piece::Any)
    }
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Set(set) => {
                set.ranges
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&c))
                    != set.others
            }
            Self::Only(only) => *only == c,
        }
    }
}

/// A set, and what stands behind its `]`. A `]` that comes first is one of its members.
fn set(text: &str) -> Option<(Set, &str)> {
    let inside = text.strip_prefix(['!', '^']);
    let (others, inside) = (inside.is_some(), inside.unwrap_or(text));
    let first = inside.chars().next()?;
    let end = first.len_utf8() + inside.get(first.len_utf8()..)?.find(']')?;
    let members: Vec<char> = inside[..end].chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        let (from, to) = match members[at..] {
            [from, '-', to, ..] => (from, to),
            _ => (members[at], members[at]),
        };
        at += if members.get(at + 1) == Some(&'-') && at + 2 < members.len() {
            3
        } else {
            1
        };
        ranges.push((from, to));
    }
    Some((Set { others, ranges }, &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        Glob::parse(pattern).expect("valid").matches(&text)
    }

    #[test]
    fn the_wildcards() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("*@x.example", "ann@x.example", true),
            ("*@x.example", "ann@x.example.net", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]-]x", "-x", true),
            ("[]-]x", "]x", true),
            ("**a**", "bab", true),
            ("ä?", "äö", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
        assert!(Glob::parse("a[b").is_err());
        assert!(Glob::parse("[]").is_err());
        assert!(Glob::parse(&"a".repeat(321)).is_err());
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = format!("{}b", "*a".repeat(150));
        assert!(!matches(&pattern, &"a".repeat(320)));
    }
}
