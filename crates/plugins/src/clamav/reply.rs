//! Reads clamd's answer to INSTREAM. Whatever is not a whole answer of a known form is an error, and
//! nothing is called clean that clamd itself did not scan to its end.

/// The longest answer that is read, in octets: a signature's name, or an error's few words.
pub(super) const MAX_ANSWER: usize = 1024;
/// The longest name that is kept, in octets.
const MAX_NAME: usize = 100;
/// clamd names limits and locked archives as if they were viruses, if its configuration says so
/// (`AlertExceedsMax`, `AlertEncrypted`).
const LIMITS: [&str; 2] = ["Heuristics.Limits.Exceeded", "Heuristics.Encrypted."];

/// What clamd said of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It found nothing.
    Clean,
    /// The name of the signature that matched.
    Virus(String),
    /// The stream was longer than its `StreamMaxLength`.
    TooBig,
    /// Which other limit it came to, or what it could not open.
    Limit(String),
}

/// Reads `stream: OK`, `stream: NAME FOUND` or an error, up to the NUL that ends it.
pub(super) fn parse(answer: &[u8]) -> Result<Said, String> {
    let nonsense = || format!("this is no answer of clamd: {}", answer.escape_ascii());
    let text = answer.strip_suffix(b"\0").ok_or_else(nonsense)?;
    let plain = text.iter().all(|octet| matches!(octet, b' '..=b'~'));
    let text = str::from_utf8(text).ok().filter(|_| plain);
    let text = text.ok_or_else(nonsense)?;
    if text.ends_with(" ERROR") {
        return error(text);
    }
    match text.strip_prefix("stream: ").ok_or_else(nonsense)? {
        "OK" => Ok(Said::Clean),
        found => {
            let name = found.strip_suffix(" FOUND").and_then(name);
            name.map(classify).ok_or_else(nonsense)
        }
    }
}

/// Errors about this message are told from those of clamd itself.
fn error(text: &str) -> Result<Said, String> {
    match text {
        _ if text.starts_with("INSTREAM size limit exceeded") => Ok(Said::TooBig),
        _ if text.contains("limit reached") || text.contains("limit exceeded") => {
            Ok(Said::Limit(text.to_owned()))
        }
        _ => Err(format!("clamd says {text}")),
    }
}

/// A signature's name is one word. With `ExtendedDetectionInfo`, digest and size stand behind it.
fn name(found: &str) -> Option<String> {
    let name = found.split('(').next().unwrap_or_default();
    let whole = !name.is_empty() && !found.contains(' ');
    whole.then(|| name.get(..MAX_NAME).unwrap_or(name).to_owned())
}

fn classify(name: String) -> Said {
    match LIMITS.iter().any(|limit| name.starts_with(limit)) {
        true => Said::Limit(name),
        false => Said::Virus(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str) -> Result<Said, String> {
        Ok(Said::Limit(text.to_owned()))
    }

    #[test]
    fn whole_answers_are_read() {
        let virus = |name: &str| Ok(Said::Virus(name.to_owned()));
        for (answer, want) in [
            ("stream: OK\0", Ok(Said::Clean)),
            ("stream: Eicar-Test FOUND\0", virus("Eicar-Test")),
            ("stream: A.B(44d88612:68) FOUND\0", virus("A.B")),
            ("stream: OK FOUND\0", virus("OK")),
            ("INSTREAM size limit exceeded. ERROR\0", Ok(Said::TooBig)),
            (
                "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0",
                limit("Heuristics.Limits.Exceeded.MaxFileSize"),
            ),
            (
                "stream: Heuristics.Encrypted.Zip FOUND\0",
                limit("Heuristics.Encrypted.Zip"),
            ),
            (
                "stream: Time limit reached ERROR\0",
                limit("stream: Time limit reached ERROR"),
            ),
        ] {
            assert_eq!(parse(answer.as_bytes()), want, "{answer:?}");
        }
        let long = format!("stream: {} FOUND\0", "N".repeat(900));
        assert_eq!(parse(long.as_bytes()), virus(&"N".repeat(MAX_NAME)));
    }

    #[test]
    fn nothing_else_is_an_answer() {
        for answer in [
            "",
            "\0",
            "stream: OK",
            "stream: O\0",
            "stream: ok\0",
            "stream: OK\0\0",
            "stream: OK\0stream: OK\0",
            "stream: OK\n\0",
            "stream:  FOUND\0",
            "stream: two words FOUND\0",
            "stream: (1:2) FOUND\0",
            "/tmp/x: OK\0",
            "OK\0",
            "PONG\0",
            "UNKNOWN COMMAND\0",
            "COMMAND READ TIMED OUT\0",
            "stream: Can't allocate memory ERROR\0",
            "stream: N\u{e4}me FOUND\0",
        ] {
            assert!(parse(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_but_its_own_words_are_clean(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let clean = parse(&octets) == Ok(Said::Clean);
            prop_assert_eq!(clean, octets == b"stream: OK\0");
        }

        #[test]
        fn no_part_of_an_answer_is_one(end in 0_usize..26) {
            prop_assert!(parse(&b"stream: Eicar-Test FOUND\0"[..end.min(24)]).is_err());
        }
    }
}
