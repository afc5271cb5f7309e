//! Hostile words from strangers are words on every page: hundreds of them, in the source of the pages
//! and in a browser.

use posthouse_tests::hostile;
use serde_json::json;

use crate::web_driver::{Browser, Screen};
use crate::web_site::{Mail, Site, path_of};

const BOB: &str = "bob@there.example";

/// The tags of our pages, and the attributes that they have there.
const TAGS: &[&str] = &[
    "!doctype", "html", "head", "meta", "title", "link", "body", "header", "img", "p", "strong",
    "span", "main", "footer", "h1", "h2", "h3", "section", "form", "input", "ul", "li", "label",
    "a", "time", "button", "div", "details", "summary", "nav", "select", "option", "dl", "dt",
    "dd", "pre", "b", "q", "textarea", "code", "fieldset", "legend", "ol",
];
const ATTRIBUTES: &[&str] = &[
    "html",
    "lang",
    "charset",
    "name",
    "content",
    "rel",
    "href",
    "type",
    "class",
    "src",
    "alt",
    "width",
    "height",
    "id",
    "for",
    "method",
    "action",
    "role",
    "value",
    "maxlength",
    "placeholder",
    "autocomplete",
    "aria-label",
    "aria-labelledby",
    "aria-describedby",
    "datetime",
    "title",
    "download",
    "required",
    "formnovalidate",
    "selected",
    "checked",
    "tabindex",
    "rows",
    "cols",
    "open",
    "aria-current",
    "disabled",
];

/// What the sample of pages that a browser looks at is: one in so many.
const SAMPLE: usize = 23;

/// A site that holds a message for each hostile string; the pages that show them.
async fn hostile_site() -> (Site, Vec<String>) {
    let site = Site::open().await;
    let mut pages = Vec::new();
    let mut ids = Vec::new();
    for (n, text) in hostile::strings().into_iter().enumerate() {
        let body = ["plain", "html"][n % 2];
        let message = hostile::message(&text, body);
        let held = site
            .hold(Mail {
                message: &message,
                tests: &[text.as_str()],
                ..Mail::default()
            })
            .await;
        pages.push(held.path());
        ids.push(held.id);
    }
    let list = path_of(&site.links_of(BOB).await.0);
    pages.extend(ids.iter().map(|id| format!("{list}/m/{id}")));
    pages.push(list.clone());
    let later = ids.iter().rev().step_by(25).skip(1);
    pages.extend(later.map(|id| format!("{list}?before={id}")));
    (site, pages)
}

#[tokio::test]
async fn hostile_words_are_words_in_the_source_of_every_page() {
    let (site, pages) = hostile_site().await;
    assert!(pages.len() > 800, "{}", pages.len());
    for path in &pages {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let page = answer.text();
        assert_eq!(markup(&page), Ok(()), "{path}:\n{page}");
        assert_eq!(hostile::hidden(&page), None, "{path}:\n{page}");
        assert!(
            !page.contains(">49<") && !page.contains("49 yours"),
            "{page}"
        );
    }
    // What is searched for is shown again.
    let list = &pages[pages.len() - 20];
    let list = list.split("?").next().expect("a path").split("/m/").next();
    let list = list.expect("a path");
    for text in hostile::strings().iter().step_by(SAMPLE) {
        let sought: String = text.bytes().take(60).map(|b| format!("%{b:02x}")).collect();
        let page = site.get(&format!("{list}?q={sought}")).await.text();
        assert_eq!(markup(&page), Ok(()), "{text}:\n{page}");
        assert_eq!(hostile::hidden(&page), None, "{text}:\n{page}");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_do_nothing_in_a_browser() {
    let (site, pages) = hostile_site().await;
    let browser = Browser::open(Screen::Desk).await;
    let sample = pages.iter().step_by(SAMPLE);
    let lists = pages.iter().filter(|path| path.contains("?before="));
    for path in sample.chain(lists) {
        browser.go(&site.url(path)).await;
        let strange = browser
            .measure(
                "return [...document.querySelectorAll('*')].filter(e =>
                   ['script', 'svg', 'iframe', 'object', 'embed', 'style', 'base', 'video', 'math',
                    'template'].includes(e.localName)
                   || [...e.attributes].some(a => a.name.startsWith('on') || a.name === 'style')
                   || (e.localName === 'img' && e.getAttribute('src') !== '/icon.svg')
                   || (e.localName === 'a' && !e.href.startsWith(location.origin + '/')))
                 .map(e => e.outerHTML.slice(0, 200))",
            )
            .await;
        assert_eq!(strange, json!([]), "{path}");
    }
    // A script, a style or a picture that slipped in would be a breach of the pages' policy, and a
    // dialog would fail the next command.
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    site.close().await;
}

/// What in a page is markup of somebody else, if anything is.
fn markup(page: &str) -> Result<(), String> {
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let (tag, behind) = tag(&rest[at + 1..])?;
        read_tag(tag)?;
        rest = behind;
    }
    Ok(())
}

/// The text of a tag, up to its end, and what is behind it.
fn tag(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return Ok((&text[..at], &text[at + 1..])),
            '<' if !quoted => break,
            _ => {}
        }
    }
    let start: String = text.chars().take(60).collect();
    Err(format!("a tag without an end: <{start}"))
}

fn read_tag(tag: &str) -> Result<(), String> {
    let tag = tag.trim_start_matches('/');
    let (name, mut rest) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
    if !TAGS.contains(&name) {
        return Err(format!("a tag that is none of ours: {tag}"));
    }
    while !rest.trim().is_empty() {
        let text = rest.trim_start();
        let end = text.find(['=', ' ', '\n']).unwrap_or(text.len());
        let (attribute, behind) = text.split_at(end);
        if !ATTRIBUTES.contains(&attribute) {
            return Err(format!("an attribute that is none of ours: {tag}"));
        }
        rest = match behind.strip_prefix("=\"") {
            Some(value) => {
                let (value, behind) = value.split_once('"').ok_or("a value without an end")?;
                read_value(attribute, value)?;
                behind
            }
            None if behind.starts_with('=') => return Err(format!("an open value: {tag}")),
            None => behind,
        };
    }
    Ok(())
}

fn read_value(attribute: &str, value: &str) -> Result<(), String> {
    let leads = matches!(attribute, "href" | "src" | "action");
    let here = value.starts_with(['/', '?', '#']) && !value.starts_with("//");
    match (leads && !here, value.contains('<')) {
        (false, false) => Ok(()),
        _ => Err(format!("{attribute}=\"{value}\"")),
    }
}

#[test]
fn strange_markup_is_found() {
    for good in [
        "<p class=\"dim\">a &lt;b&gt; &amp; c > d</p>",
        "<a href=\"/a/x\" download aria-label=\"a > b\">x</a>",
        "<!doctype html>\n<html lang=\"en\">",
    ] {
        assert_eq!(markup(good), Ok(()), "{good}");
    }
    for bad in [
        "<script>",
        "<p onclick=\"x\">",
        "<p onclick=x>",
        "a < b",
        "<a href=\"javascript:x\">",
        "<a href=\"//evil.example\">",
        "<p title=\"<b>\">",
        "<p title=\"x>",
        "<svg/onload=x>",
    ] {
        assert!(markup(bad).is_err(), "{bad}");
    }
}
