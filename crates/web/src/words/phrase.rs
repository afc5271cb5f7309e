//! One text of a catalogue: words, values in braces, and the tags `<b>` and `</b>`.

use tera::escape_html;

use super::{Form, Values};

/// The only markup that a text may have.
const TAGS: [&str; 2] = ["<b>", "</b>"];

/// A text that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Phrase(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Words(String),
    Tag(&'static str),
    Value(String),
}

impl Phrase {
    /// Reads a text; the error says what in it cannot be read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '<']) {
            let (words, special) = rest.split_at(at);
            if !words.is_empty() {
                pieces.push(Piece::Words(words.to_owned()));
            }
            let (piece, behind) = Piece::read(special)?;
            pieces.push(piece);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Words(rest.to_owned()));
        }
        let phrase = Self(pieces);
        phrase
            .is_balanced()
            .then_some(phrase)
            .ok_or_else(|| "each <b> needs its </b>".to_owned())
    }

    /// The text with its values; the error is the name of a value that is missing.
    pub(super) fn say(&self, form: Form, values: &Values<'_>) -> Result<String, &str> {
        let mut said = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) if form == Form::Html => said.push_str(&escaped(words)),
                Piece::Words(words) => said.push_str(words),
                Piece::Tag(tag) if form == Form::Html => said.push_str(tag),
                Piece::Tag(_) => {}
                Piece::Value(name) => said.push_str(&values.get(name).ok_or(name.as_str())?),
            }
        }
        Ok(said)
    }

    /// The names of the values that it uses.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Words(_) | Piece::Tag(_) => None,
        })
    }

    /// Whether `<b>` and `</b>` take turns.
    fn is_balanced(&self) -> bool {
        let tags = self.0.iter().filter_map(|piece| match piece {
            Piece::Tag(tag) => Some(*tag),
            Piece::Words(_) | Piece::Value(_) => None,
        });
        let tags: Vec<_> = tags.collect();
        tags.chunks(2).all(|pair| pair == TAGS)
    }
}

impl Piece {
    /// Reads a text that begins with a brace or an angle bracket, and gives what is behind it.
    fn read(text: &str) -> Result<(Self, &str), String> {
        for tag in TAGS {
            if let Some(behind) = text.strip_prefix(tag) {
                return Ok((Self::Tag(tag), behind));
            }
        }
        let braced = text.strip_prefix('{').and_then(|text| text.split_once('}'));
        match braced {
            Some((name, behind)) if is_name(name) => Ok((Self::Value(name.to_owned()), behind)),
            _ if text.starts_with('<') => Err("the only tags are <b> and </b>".to_owned()),
            _ => Err("a brace that holds no name".to_owned()),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.named.iter().find(|(known, _)| *known == name);
        match value {
            Some((_, value)) => Some(value.clone()),
            None if name == "count" => self.count.map(|count| count.to_string()),
            None => None,
        }
    }
}

/// A text as HTML shows it, in an element or in a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = Vec::with_capacity(text.len());
    // A vector takes everything, and what it got is UTF-8 with ASCII in the place of ASCII.
    let _ = escape_html(text, &mut html);
    String::from_utf8_lossy(&html).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str, form: Form) -> String {
        let values = Values {
            count: Some(3),
            named: vec![("name", "N".to_owned())],
        };
        let phrase = Phrase::read(text).expect("a text");
        phrase.say(form, &values).expect("all values")
    }

    #[test]
    fn words_values_and_tags() {
        let text = "{count} & \"<b>{name}</b>\"";
        assert_eq!(say(text, Form::Html), "3 &amp; &quot;<b>N</b>&quot;");
        assert_eq!(say(text, Form::Plain), "3 & \"N\"");
        assert_eq!(say("", Form::Html), "");
        let phrase = Phrase::read("{other}").expect("a text");
        assert_eq!(phrase.say(Form::Plain, &Values::default()), Err("other"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for text in [
            "<i>",
            "<b",
            "< b>",
            "<script>",
            "<b>x",
            "</b>x<b>",
            "<b><b></b></b>",
            "{",
            "}",
            "{}",
            "{a b}",
            "{A}",
            "{{ a }}",
            "{a",
            "<b onclick=x>",
        ] {
            assert!(Phrase::read(text).is_err(), "{text}");
        }
    }
}
