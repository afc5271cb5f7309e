//! Speaking to people in their language: what templates call to get words, dates, spans and sizes.
//!
//! ```text
//! {{ t(key="sender.kept", until=until) }}   words of the catalogue with values, as HTML
//! {{ received | date }}  {{ received | away }}  {{ size | size }}
//! ```
//!
//! The language is the variable `lang` of the page. Values are always escaped.

use std::sync::Arc;

use posthouse_hook::Language;
use tera::value::Map;
use tera::{Error, Function, Kwargs, State, Tera, TeraResult, Value};

use crate::words::{Form, Unsaid, Values, Words, escaped};

/// Spans by their least number of seconds: to come, and over.
const SPANS: [(u64, &str, &str); 3] = [
    (86_400, "time.in_days", "time.days_ago"),
    (3_600, "time.in_hours", "time.hours_ago"),
    (60, "time.in_minutes", "time.minutes_ago"),
];

/// Gives the templates their words.
pub(crate) fn teach(tera: &mut Tera, words: Words) {
    let words = Arc::new(words);
    let own = Arc::clone(&words);
    tera.register_filter("date", move |moment: Map, _: Kwargs, state: &State<'_>| {
        Speaker::of(state, &own)?.date(number(&moment, "at")?)
    });
    let own = Arc::clone(&words);
    tera.register_filter("away", move |moment: Map, _: Kwargs, state: &State<'_>| {
        Speaker::of(state, &own)?.away(number(&moment, "away")?)
    });
    let own = Arc::clone(&words);
    tera.register_filter("size", move |octets: u64, _: Kwargs, state: &State<'_>| {
        Speaker::of(state, &own)?.size(octets)
    });
    tera.register_function("t", Translate(words));
}

/// The function `t`. Its result is HTML.
struct Translate(Arc<Words>);

impl Function<TeraResult<String>> for Translate {
    fn call(&self, kwargs: Kwargs, state: &State<'_>) -> TeraResult<String> {
        let speaker = Speaker::of(state, &self.0)?;
        let mut values = Values {
            count: kwargs.get("count")?,
            ..Values::default()
        };
        for (name, value) in kwargs.iter() {
            let name = name.as_str().unwrap_or_default();
            if name != "key" && name != "count" {
                values.named.push((name, speaker.html(name, value)?));
            }
        }
        let key = kwargs.must_get::<&str>("key")?;
        Ok(speaker.say(key, Form::Html, &values)?)
    }

    fn is_safe(&self) -> bool {
        true
    }
}

/// The words of one language.
struct Speaker<'a> {
    words: &'a Words,
    language: Language,
}

impl<'a> Speaker<'a> {
    fn of(state: &State<'_>, words: &'a Words) -> TeraResult<Self> {
        let lang = state.get::<String>("lang")?.unwrap_or_default();
        let language = lang.parse().map_err(Error::message)?;
        Ok(Self { words, language })
    }

    fn say(&self, key: &str, form: Form, values: &Values<'_>) -> Result<String, Unsaid> {
        self.words.say(self.language, key, form, values)
    }

    fn plain(&self, key: &str, named: Vec<(&str, String)>) -> TeraResult<String> {
        let values = Values { count: None, named };
        Ok(self.say(key, Form::Plain, &values)?)
    }

    fn counted(&self, key: &str, count: u64) -> TeraResult<String> {
        let count = Some(count);
        let values = Values {
            count,
            ..Values::default()
        };
        Ok(self.say(key, Form::Plain, &values)?)
    }

    /// A value as HTML: text, a number, or a moment as a span that tells its date.
    fn html(&self, name: &str, value: &Value) -> TeraResult<String> {
        if let Some(text) = value.as_str() {
            return Ok(escaped(text));
        }
        if let Some(number) = value.as_i128() {
            return Ok(number.to_string());
        }
        if let Some(number) = value.as_f64() {
            return self.decimal(number);
        }
        let Some(moment) = value.as_map() else {
            let kind = value.name();
            return Err(Error::message(format!(
                "t: {name} is {kind}: no text, number or moment"
            )));
        };
        let date = escaped(&self.date(number(moment, "at")?)?);
        let away = escaped(&self.away(number(moment, "away")?)?);
        let iso = moment
            .get(&"iso".into())
            .and_then(Value::as_str)
            .unwrap_or_default();
        let iso = escaped(iso);
        Ok(format!(
            "<time datetime=\"{iso}\" title=\"{date}\">{away}</time>"
        ))
    }

    /// `20 November 2026, 06:48 UTC`.
    fn date(&self, millis: i64) -> TeraResult<String> {
        let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let at = jiff::tz::Offset::UTC.to_datetime(at);
        let month = self.plain(&format!("time.month_{}", at.month()), Vec::new())?;
        let named = vec![
            ("day", at.day().to_string()),
            ("month", month),
            ("year", at.year().to_string()),
            ("time", format!("{:02}:{:02}", at.hour(), at.minute())),
        ];
        self.plain("time.date", named)
    }

    /// `in 30 days`, `2 hours ago`. What is over is counted in whole units; what is to come is
    /// rounded, so that the 30 days of a message that came a second ago are not 29.
    fn away(&self, seconds: i64) -> TeraResult<String> {
        let span = seconds.unsigned_abs();
        let unit = SPANS.into_iter().find(|(unit, ..)| span >= *unit);
        match unit {
            Some((unit, to_come, _)) if seconds > 0 => {
                self.counted(to_come, (span + unit / 2) / unit)
            }
            Some((unit, _, over)) => self.counted(over, span / unit),
            None if seconds > 0 => self.plain("time.now", Vec::new()),
            None => self.plain("time.just_now", Vec::new()),
        }
    }

    /// A number of octets, rounded: `512 bytes`, `12 KB`, `3.4 MB`.
    fn size(&self, octets: u64) -> TeraResult<String> {
        #[expect(clippy::cast_precision_loss, reason = "rounded for people anyway")]
        let number = octets as f64;
        let (key, number) = match octets {
            0..1_000 => return self.counted("size.bytes", octets),
            1_000..999_500 => ("size.kilobytes", format!("{:.0}", number / 1e3)),
            _ => ("size.megabytes", self.one_decimal(number / 1e6)?),
        };
        self.plain(key, vec![("number", number)])
    }

    /// A number with at most one decimal: `15.3`, `5`.
    fn decimal(&self, number: f64) -> TeraResult<String> {
        let text = format!("{number:.1}");
        match text.strip_suffix(".0") {
            Some(whole) => Ok(whole.to_owned()),
            None => self.one_decimal(number),
        }
    }

    fn one_decimal(&self, number: f64) -> TeraResult<String> {
        let mark = self.plain("size.decimal", Vec::new())?;
        Ok(format!("{number:.1}").replace('.', &mark))
    }
}

/// A number of a moment.
fn number(moment: &Map, name: &'static str) -> TeraResult<i64> {
    let value = moment.get(&name.into()).and_then(Value::as_i64);
    value.ok_or_else(|| Error::message(format!("a moment has a number {name:?}")))
}

impl From<Unsaid> for Error {
    fn from(unsaid: Unsaid) -> Self {
        Self::message(unsaid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show;
    use posthouse_hook::Timestamp;
    use tera::Context;

    const NOW: Timestamp = Timestamp(1_795_157_280_000);

    /// What a template of this text says, `name` being a stranger's, `at` so many seconds from now.
    fn say(lang: &str, text: &str, seconds: i64) -> String {
        let mut tera = Tera::new();
        teach(&mut tera, Words::read(|_| Ok(None)).expect("our words"));
        tera.add_raw_template("x.html", text).expect("a template");
        let at = Timestamp(NOW.millis() + seconds * 1000);
        let mut context = Context::new();
        context.insert("lang", lang);
        context.insert("name", "\"><script>{count}</script>'");
        context.insert("at", &show::moment(at, NOW));
        let said = tera.render("x.html", &context);
        said.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn moments_in_words() {
        let date = "{{ at | date }}";
        assert_eq!(say("en", date, 0), "20 November 2026, 06:48 UTC");
        assert_eq!(say("de", date, 0), "20. November 2026, 06:48 UTC");
        assert_eq!(say("de", date, 110 * 86_400), "10. März 2027, 06:48 UTC");
        assert!(say("en", date, i64::MAX / 2000).contains("1970"));
        for (seconds, en, de) in [
            (0, "just now", "gerade eben"),
            (59, "now", "jetzt"),
            (60, "in 1 minute", "in 1 Minute"),
            (7_200, "in 2 hours", "in 2 Stunden"),
            (30 * 86_400, "in 30 days", "in 30 Tagen"),
            (30 * 86_400 - 1, "in 30 days", "in 30 Tagen"),
            (-59, "just now", "gerade eben"),
            (-3_600, "1 hour ago", "vor 1 Stunde"),
            (-172_800, "2 days ago", "vor 2 Tagen"),
            (-172_799, "1 day ago", "vor 1 Tag"),
        ] {
            let away = "{{ at | away }}";
            assert_eq!(
                (say("en", away, seconds), say("de", away, seconds)),
                (en.to_owned(), de.to_owned())
            );
        }
    }

    #[test]
    fn sizes_and_scores_in_words() {
        for (octets, en, de) in [
            ("0", "0 bytes", "0 Byte"),
            ("1", "1 byte", "1 Byte"),
            ("999", "999 bytes", "999 Byte"),
            ("12345", "12 KB", "12 KB"),
            ("999499", "999 KB", "999 KB"),
            ("999500", "1.0 MB", "1,0 MB"),
            ("3400000", "3.4 MB", "3,4 MB"),
        ] {
            let size = format!("{{{{ {octets} | size }}}}");
            assert_eq!(
                (say("en", &size, 0), say("de", &size, 0)),
                (en.to_owned(), de.to_owned())
            );
        }
        for (score, en, de) in [
            ("15.26", "(15.3 ", "(15,3 "),
            ("1000.04", "(1000 ", "(1000 "),
            ("5", "(5 ", "(5 "),
        ] {
            let text = format!(
                "{{{{ t(key=\"sender.found_clean_score\", scanner=\"x\", score={score}) }}}}"
            );
            assert!(
                say("en", &text, 0).contains(en) && say("de", &text, 0).contains(de),
                "{score}"
            );
        }
    }

    #[test]
    fn a_strangers_value_stays_a_value() {
        let text = "{{ t(key=\"letters.stopped\", address=name) }}";
        let said = say("de", text, 0);
        assert!(
            said.contains("<b>&quot;&gt;&lt;script&gt;{count}&lt;/script&gt;&#39;</b>"),
            "{said}"
        );
        let safe = "{{ t(key=\"letters.stopped\", address=name | safe) }}";
        assert_eq!(say("de", safe, 0), said);
    }

    #[test]
    fn a_moment_in_a_sentence_tells_its_date() {
        let said = say("en", "{{ t(key=\"sender.next_try\", next=at) }}", 3600);
        assert_eq!(
            said,
            "Next try <time datetime=\"2026-11-20T07:48:00Z\" title=\"20 November 2026, 07:48 UTC\">\
             in 1 hour</time>."
        );
    }

    #[test]
    fn what_cannot_be_said_is_an_error_with_its_key() {
        for (text, says) in [
            ("{{ t(key=\"no.such\") }}", "no.such"),
            ("{{ t(key=\"letters.ask\") }}", "{address}"),
            ("{{ t(key=\"letters.ask\", address=[1]) }}", "address is"),
            ("{{ t(key=\"sender.recipients\") }}", "a count"),
            ("{{ t() }}", "key"),
        ] {
            let said = say("en", text, 0);
            assert!(said.contains(says), "{said}");
        }
        assert!(say("fr", "{{ t(key=\"home.title\") }}", 0).contains("\"fr\""));
    }
}
