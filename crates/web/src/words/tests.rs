//! Every catalogue against every other, against the templates, and against what operators write.

use super::*;
use crate::samples;
use crate::speak;
use crate::templates::BUILT_IN;
use tera::{Context, Tera};

fn catalogues() -> Words {
    Words::read(|_| Ok(None)).expect("the built-in words")
}

fn with_own(file: &str, own: &str) -> Result<Words, TemplateError> {
    Words::read(|path| Ok((path == file).then(|| own.to_owned())))
}

#[test]
fn the_catalogues_have_the_same_keys_and_values() {
    let words = catalogues();
    let shape = |catalogue: &Catalogue| -> BTreeMap<String, (bool, BTreeSet<String>)> {
        let texts = catalogue.iter();
        let shapes = texts.map(|(key, text)| {
            let names = text.names().into_iter().map(str::to_owned).collect();
            (key.clone(), (matches!(text, Text::Counted { .. }), names))
        });
        shapes.collect()
    };
    for language in Language::ALL {
        let (ours, theirs) = (shape(&words.en), shape(words.of(language)));
        let missing: Vec<_> = ours.keys().filter(|k| !theirs.contains_key(*k)).collect();
        let more: Vec<_> = theirs.keys().filter(|k| !ours.contains_key(*k)).collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "{language} lacks {missing:?}, has also {more:?}"
        );
        for (key, shape) in &ours {
            assert_eq!(Some(shape), theirs.get(key), "{language}: {key}");
        }
    }
}

/// What a template names as `key="…"`, which is a whole key or, before ` ~`, the beginning of some.
#[test]
fn templates_name_only_keys_that_there_are() {
    let words = catalogues();
    for (path, text) in BUILT_IN {
        for named in text.split("t(key=\"").skip(1) {
            let (key, behind) = named.split_once('"').expect("a closing quote");
            let known = match behind.trim_start().starts_with('~') {
                true => words.en.keys().any(|known| known.starts_with(key)),
                false => words.en.contains_key(key),
            };
            assert!(known, "{path}: {key}");
        }
    }
}

/// Every text is replaced by its own key; then all that the pages say is known by name.
#[test]
fn every_key_is_used_by_a_page_as_the_samples_render_it() {
    let mut words = catalogues();
    let keys: BTreeSet<String> = words.en.keys().cloned().collect();
    for (key, text) in &mut words.en {
        *text = Text::Fixed(Phrase::read(&format!("[[{key}]]{}", month_of(text))).expect("a text"));
    }
    let said = everything_said(words);
    let unused: Vec<_> = keys
        .iter()
        .filter(|key| !said.contains(&format!("[[{key}]]")))
        .collect();
    assert!(unused.is_empty(), "no page uses {unused:?}");
}

/// A date is made of two texts; the inner one must not get lost.
fn month_of(text: &Text) -> &'static str {
    let names = text.names();
    match (names.contains("month"), names.contains("number")) {
        (true, _) => "{month}",
        (_, true) => "{number}",
        _ => "",
    }
}

/// All samples, with and without a contact, and what the filters can say.
fn everything_said(words: Words) -> String {
    let mut tera = Tera::new();
    speak::teach(&mut tera, words);
    let pages = BUILT_IN
        .into_iter()
        .filter_map(|(path, text)| Some((path.strip_prefix("web/")?, text)));
    tera.add_raw_templates(pages)
        .expect("the built-in templates");
    let mut said = String::new();
    for contact in [None, Some("help")] {
        for (template, view) in samples::views() {
            let mut context = Context::from_serialize(&view).expect("a view");
            context.insert("lang", "en");
            context.insert(
                "site",
                &serde_json::json!({"host": "x", "contact": contact}),
            );
            said += &tera.render(template, &context).expect("rendered");
        }
    }
    said + &filters_said(&tera)
}

fn filters_said(tera: &Tera) -> String {
    let mut tera = tera.clone();
    let text = "{{ moment | date }}{{ moment | away }}{{ octets | size }}";
    tera.add_raw_template("filters", text).expect("a template");
    let mut said = String::new();
    for (month, span) in (0..12).zip([0, 1, 60, 3_600, 86_400].into_iter().cycle()) {
        for away in [span, -span] {
            let at = 1_000_000_000_000_i64 + month * 2_600_000_000;
            let mut context = Context::new();
            context.insert("lang", "en");
            context.insert(
                "moment",
                &serde_json::json!({"iso": "", "at": at, "away": away}),
            );
            context.insert("octets", &(1_u64 << (4 * month)));
            said += &tera.render("filters", &context).expect("rendered");
        }
    }
    said
}

#[test]
fn an_operators_words_take_the_place_of_ours_and_the_rest_stays() {
    let own = "[home]\ntitle = \"Moin\"\n[sender]\nrecipients = \"An {count}\"\n";
    let words = with_own("words/de.toml", own).expect("valid");
    let say = |language, key| {
        let values = Values {
            count: Some(2),
            named: Vec::new(),
        };
        words.say(language, key, Form::Html, &values).expect("said")
    };
    assert_eq!(say(Language::De, "home.title"), "Moin");
    assert_eq!(say(Language::De, "sender.recipients"), "An 2");
    assert_eq!(say(Language::De, "state.held"), "zurückgehalten");
    assert_eq!(
        say(Language::En, "home.title"),
        "Nothing to see without a link"
    );
}

#[test]
fn an_operators_mistake_is_named_with_file_and_key() {
    for (own, says) in [
        (
            "[home]\ntitel = \"x\"",
            "home.titel: no page uses these words",
        ),
        (
            "[hom]\ntitle = \"x\"",
            "hom.title: no page uses these words",
        ),
        (
            "[home]\ntitle = \"{name}\"",
            "home.title: {name} has no value here",
        ),
        (
            "[letters]\nask = \"{adress}\"",
            "{adress} has no value here; these have: {address}",
        ),
        (
            "[home]\ntitle = { one = \"a\", other = \"b\" }",
            "home.title: {count} has no value",
        ),
        ("[home]\ntitle = \"<i>x</i>\"", "home.title: the only tags"),
        ("[home]\ntitle = \"{\"", "home.title: a brace"),
        ("[home]\ntitle = 7", "home.title: neither a text nor"),
        (
            "[sender]\nrecipients = { one = \"a\" }",
            "sender.recipients: neither",
        ),
        (
            "[sender]\nrecipients = { one = \"a\", other = \"b\", few = \"c\" }",
            "sender.recipients: neither",
        ),
        ("title = \"x\"", "title is no table"),
        ("[home", "line 1"),
    ] {
        let error = with_own("words/de.toml", own).expect_err(own).to_string();
        assert!(
            error.contains("words/de.toml") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn words_that_are_not_there_are_named() {
    let words = catalogues();
    let say = |key| {
        words
            .say(Language::En, key, Form::Html, &Values::default())
            .map_err(|e| e.to_string())
    };
    assert!(say("no.such").is_err_and(|e| e.contains("no.such")));
    assert!(say("letters.ask").is_err_and(|e| e.contains("{address}")));
    assert!(say("sender.recipients").is_err_and(|e| e.contains("a count")));
}
