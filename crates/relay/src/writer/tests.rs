//! What our own mail says, in which language, and that no hostile text breaks out of its place.

use std::sync::Arc;

use mail_parser::MessageParser;
use posthouse_hook::trail::visible;
use posthouse_hook::{Clock, Domain, ForwardPath, Id, Language, LinkKey, LinkKind, Timestamp};
use posthouse_store::{Address, Errand, ErrandKind, Owner, Pending, RecipientChoice};

use super::{LetterWriter, Listed};
use crate::config::LettersConfig;
use crate::errands::ErrandFacts;
use crate::texts::{BUILT_IN, Text};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000)
    }
}

fn writer(config: &str, templates: Option<&std::path::Path>) -> Result<LetterWriter, String> {
    let config: LettersConfig = toml::from_str(config).expect("the test's configuration");
    let ours = Domain::parse("out.isp.example").expect("valid");
    LetterWriter::new(config, ours, templates, Arc::new(Stopped)).map_err(|e| e.to_string())
}

fn path(address: &str) -> ForwardPath {
    ForwardPath::from_address(address).expect("valid")
}

const SPAM: Listed<'static> = Listed {
    at: Timestamp(1_790_000_000_000),
    from: "Eve <eve@e.example>",
    subject: "Cheap pills",
    size: 12_345,
};

/// Subject and text of a mail, decoded.
fn read(mail: &[u8]) -> (String, String) {
    let message = MessageParser::default().parse(mail).expect("a message");
    let text = message.body_text(0).expect("a text").replace("\r\n", "\n");
    (message.subject().expect("a subject").to_owned(), text)
}

#[test]
fn a_letter_speaks_the_language_of_the_domain() {
    let writer = writer("languages = { \".de\" = \"de\" }", None).expect("valid");
    let letter = |to| {
        read(
            &writer
                .preview("https://x", &path(to), SPAM)
                .expect("written"),
        )
    };
    let (subject, text) = letter("bob@big.de");
    assert_eq!(subject, "Wir halten Post für Sie zurück");
    for want in [
        "wir halten eine Nachricht für bob@big.de zurück",
        "* Von Eve <eve@e.example>\n  Cheap pills\n  21. September 2026, 12 KB\n",
        "https://x/a/(link)\n",
        "https://x/s/(link)\n",
        "höchstens alle 7 Tage",
    ] {
        assert!(text.contains(want), "{want} in {text}");
    }
    let (subject, text) = letter("bob@big.example");
    assert_eq!(subject, "We are holding mail for you");
    let want = "* From Eve <eve@e.example>\n  Cheap pills\n  21 September 2026, 12 KB\n";
    assert!(text.contains(want), "{text}");
}

#[test]
fn the_operator_s_subject_wins_where_it_is_set() {
    for (keys, en, de) in [
        ("subject = \"Post\"", "Post", "Post"),
        (
            "subject = { de = \"Post für {{ address }}\" }",
            "We are holding mail for you",
            "Post für {{ address }}",
        ),
    ] {
        let keys = format!("{keys}\nlanguages = {{ \"big.de\" = \"de\" }}");
        let writer = writer(&keys, None).expect("valid");
        let subject = |to| read(&writer.preview("", &path(to), SPAM).expect("written")).0;
        assert_eq!(subject("bob@big.example"), en);
        assert_eq!(
            subject("bob@big.de"),
            de,
            "no template makes a header field"
        );
    }
}

#[test]
fn each_broken_template_is_found_at_the_start() {
    for (name, built_in) in BUILT_IN {
        for (spoilt, want) in [
            (format!("{built_in}{{{{ no_such_name }}}}"), "no_such_name"),
            (format!("{built_in}{{% if %}}"), name),
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            std::fs::write(dir.path().join(name), spoilt).expect("written");
            let error = writer("", Some(dir.path())).err().expect(name);
            assert!(
                error.contains(name) && error.contains(want),
                "{name}: {error}"
            );
        }
    }
}

/// Strings that would be more than text if anything read them as such.
const HOSTILE: [&str; 9] = [
    "a\r\nBcc: all@example.com\r\n\r\nbody",
    "a\nSubject: other",
    "\u{202e}gpj.exe\u{2066}",
    "{{ link }}{% for x in y %}",
    "=?utf-8?q?=0D=0ABcc:_x?=",
    "\u{1b}[2J\u{7}\0",
    "<script>alert(1)</script>",
    "\"quoted\\\" <eve@e.example>",
    ".\r\n.\r\nQUIT\r\n",
];

#[test]
fn hostile_text_stays_text_in_every_mail() {
    let writer = writer("", None).expect("valid");
    let to = path("\"a b\"@big.example");
    for hostile in HOSTILE {
        let facts = ErrandFacts {
            address: hostile.to_owned(),
            target: hostile.to_owned(),
            asked_by: hostile.to_owned(),
            choice: "discard".to_owned(),
            since: "today".to_owned(),
            until: "tomorrow".to_owned(),
            link: "https://out.isp.example/c/x".to_owned(),
            hostname: "out.isp.example".to_owned(),
        };
        for text in Text::ALL {
            for language in Language::ALL {
                let mail = match text {
                    Text::Dsn => continue,
                    Text::Letter => {
                        let (from, subject) = (hostile, hostile);
                        let listed = Listed {
                            from,
                            subject,
                            ..SPAM
                        };
                        writer.preview("https://x", &to, listed).expect("written")
                    }
                    errand => writer
                        .errand(errand, language, &to, &facts, Id(7))
                        .expect("written"),
                };
                check_harmless(&mail, hostile);
            }
        }
    }
}

/// The fields are ours alone, each once, and the text shows no character that hides another.
fn check_harmless(mail: &[u8], hostile: &str) {
    let raw = std::str::from_utf8(mail).expect("ASCII");
    assert!(raw.is_ascii() && !raw.replace("\r\n", "").contains(['\r', '\n']));
    let (head, _) = raw.split_once("\r\n\r\n").expect("an empty line");
    let fields = head.lines().filter(|line| !line.starts_with([' ', '\t']));
    let names: Vec<_> = fields.filter_map(|line| line.split(':').next()).collect();
    let want = [
        "Date",
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Transfer-Encoding",
        "Content-Type",
    ];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let mut wanted = want;
    wanted.sort_unstable();
    assert_eq!(sorted, wanted, "{hostile:?}: {head}");
    assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
    assert!(head.contains("To: \"a b\"@big.example\r\n"), "{head}");
    let (_, text) = read(mail);
    let hides = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{2069}').contains(&c);
    assert!(!text.contains(hides), "{text:?}");
    assert!(text.contains(&visible(hostile.trim())), "{text}");
}

#[test]
fn each_mail_says_what_it_is_for() {
    let writer = writer("", None).expect("valid");
    let facts = |choice: &str| ErrandFacts {
        address: "bob@big.example".to_owned(),
        target: "bob@small.example".to_owned(),
        choice: choice.to_owned(),
        asked_by: "192.0.2.1".to_owned(),
        since: "1 May 2026".to_owned(),
        until: "8 May 2026".to_owned(),
        link: "https://out.isp.example/c/x".to_owned(),
        hostname: "out.isp.example".to_owned(),
    };
    use Text::{ConfirmChoice, ConfirmDiscard, ConfirmRedirect, Link, Manage, Redirected};
    for (text, choice, en, de) in [
        (
            ConfirmChoice,
            "refuse",
            "are refused, and not kept",
            "abgelehnt",
        ),
        (
            ConfirmChoice,
            "discard",
            "thrown away, without a word",
            "verworfen",
        ),
        (
            ConfirmChoice,
            "hold",
            "are held, and you are told",
            "zurückgehalten",
        ),
        (
            ConfirmDiscard,
            "discard",
            "thrown away at once",
            "sofort verworfen",
        ),
        (
            ConfirmDiscard,
            "hold",
            "held for you again",
            "wieder für Sie",
        ),
        (
            ConfirmRedirect,
            "redirect",
            "be sent to you from now on, at bob@small",
            "künftig an Sie",
        ),
        (
            Redirected,
            "redirect",
            "since 1 May 2026, mail to bob@big.example goes to\nbob@small",
            "rückgängig",
        ),
        (
            Link,
            "hold",
            "page of all that we hold for bob@big.example",
            "um den Link",
        ),
        (
            Manage,
            "hold",
            "page of all messages from bob@big.example",
            "um den Link",
        ),
    ] {
        for (language, want) in [(Language::En, en), (Language::De, de)] {
            let to = path("ann@a.example");
            let mail = writer.errand(text, language, &to, &facts(choice), Id(7));
            let (subject, said) = read(&mail.expect("written"));
            assert_eq!(subject, text.subject(language));
            assert!(said.contains(want), "{want} in {said}");
            assert_eq!(said.matches("https://").count(), 1, "one link: {said}");
            assert!(said.contains("\nhttps://out.isp.example/c/x\n"), "{said}");
            let asks = !matches!(text, ConfirmRedirect | Redirected);
            assert_eq!(said.contains("192.0.2.1"), asks, "{said}");
        }
    }
}

/// Bob's wish to have his mail sent to somebody else, which that somebody is asked about.
fn redirect_errand(language: Option<Language>) -> Errand {
    let id = Id(7);
    let bob = Address {
        id,
        address: "bob@big.example".to_owned(),
        letters: posthouse_store::Letters::On,
        last_letter: None,
        choice: RecipientChoice::Hold,
        chosen_at: None,
        interval_days: None,
        language: Some(Language::De),
    };
    let choice = RecipientChoice::Redirect(path("ann@small.at"));
    let pending = Pending {
        id,
        owner: Owner::Recipient(bob, choice),
        mailed: "ann@small.at".to_owned(),
        made_at: Timestamp(0),
        ends_at: Timestamp(0),
        done_at: None,
    };
    let key = LinkKey::new([7; 32], "https://out.isp.example");
    let link = key.mint(LinkKind::Confirm, id, "ann@small.at", 0);
    Errand {
        id,
        what: ErrandKind::Confirm(Box::new(pending), link),
        to: path("ann@small.at"),
        asked_by: "192.0.2.77".to_owned(),
        language,
    }
}

#[test]
fn the_target_of_a_redirect_is_somebody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("confirm-redirect.txt");
    std::fs::write(file, "en [{{ asked_by }}] {{ address }} > {{ target }}").expect("written");
    let file = dir.path().join("confirm-redirect.de.txt");
    std::fs::write(file, "de [{{ asked_by }}]").expect("written");
    let said = |keys: &str, page| {
        let writer = writer(keys, Some(dir.path())).expect("valid");
        let mail = writer.run_errand(&redirect_errand(page), Id(1));
        read(&mail.expect("written").bytes).1.trim().to_owned()
    };
    // Not even an operator's own template learns where the owner sits, and the owner's language
    // says nothing of the target's: its domain does, or else the page.
    assert_eq!(said("", None), "en [] bob@big.example > ann@small.at");
    assert_eq!(said("", Some(Language::De)), "de []");
    let austria = "languages = { \".at\" = \"de\" }";
    assert_eq!(said(austria, Some(Language::En)), "de []");
}
