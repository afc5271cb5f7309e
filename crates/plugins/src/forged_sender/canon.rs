//! One spelling for what looks the same: lower case, full-width forms, international domains, letters
//! of other alphabets that look like Latin ones.

/// Longest domain that is taken apart, in octets; longer ones exist nowhere.
const MAX_DOMAIN: usize = 1000;

/// Lower case; full-width and small forms become ASCII; what has no width is left out.
pub(super) fn fold(text: &str) -> String {
    let kept = text.chars().filter(|c| !hidden(*c));
    kept.map(plain).flat_map(char::to_lowercase).collect()
}

/// Characters that are not seen: soft hyphens, joiners, marks of direction, tags.
fn hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e01ef}')
}

/// The ASCII that a full-width or small form, or another script's dot, stands for.
fn plain(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' | '\u{fe52}' | '\u{2024}' => '.',
        '\u{fe6b}' => '@',
        '\u{3000}' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => ' ',
        '\u{fe64}' => '<',
        '\u{fe65}' => '>',
        '\u{2010}' | '\u{2011}' | '\u{fe63}' => '-',
        c => c,
    }
}

/// A domain as DNS has it: lower case, international labels in their ASCII form.
pub(super) fn domain(text: &str) -> String {
    let text = text.trim_matches('.');
    if (text.is_ascii() && !text.contains("xn--")) || text.len() > MAX_DOMAIN {
        return text.to_ascii_lowercase();
    }
    idna::domain_to_ascii(text).unwrap_or_else(|_| text.to_lowercase())
}

/// The domain that a person reads, if an international one can be taken for one in plain Latin letters.
pub(super) fn look_alike(domain: &str) -> Option<String> {
    if (domain.is_ascii() && !domain.contains("xn--")) || domain.len() > MAX_DOMAIN {
        return None;
    }
    let (shown, _) = idna::domain_to_unicode(domain);
    let read: String = shown.chars().map(latin).collect();
    (read.is_ascii() && read != domain).then_some(read)
}

/// The Latin letter that one of another alphabet, or one with a mark, is taken for.
fn latin(c: char) -> char {
    match c {
        'а' | 'α' | 'à'..='å' | 'ā' | 'ă' | 'ą' | 'ạ' | 'ɑ' => 'a',
        'ь' | 'ƅ' => 'b',
        'с' | 'ϲ' | 'ç' | 'ć' | 'ċ' | 'č' => 'c',
        'ԁ' | 'ď' | 'đ' | 'ḍ' => 'd',
        'е' | 'ё' | 'є' | 'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' | 'ẹ' => 'e',
        'ɡ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'һ' | 'ħ' | 'ḥ' => 'h',
        'і' | 'ї' | 'ι' | 'ì'..='ï' | 'ī' | 'į' | 'ı' | 'ị' => 'i',
        'ј' => 'j',
        'к' | 'κ' | 'ķ' => 'k',
        'ӏ' | 'ļ' | 'ľ' | 'ł' | 'ḷ' => 'l',
        'м' | 'ṃ' => 'm',
        'п' | 'ո' | 'η' | 'ñ' | 'ń' | 'ņ' | 'ň' | 'ṇ' => 'n',
        'о' | 'ο' | 'σ' | 'օ' | 'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'ọ' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' | 'ŕ' | 'ř' => 'r',
        'ѕ' | 'ś' | 'ş' | 'š' | 'ș' | 'ṣ' => 's',
        'т' | 'τ' | 'ţ' | 'ť' | 'ț' | 'ṭ' => 't',
        'υ' | 'ս' | 'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' | 'ụ' => 'u',
        'ν' | 'ѵ' | 'ṿ' => 'v',
        'ԝ' | 'ω' | 'ш' | 'ŵ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'ү' | 'γ' | 'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' | 'ẓ' => 'z',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        assert_eq!(fold("Ceo\u{ff20}Bank\u{3002}Example"), "ceo@bank.example");
        assert_eq!(fold("ce\u{200b}o@b\u{ad}ank.example"), "ceo@bank.example");
        assert_eq!(domain("Bücher.Example."), "xn--bcher-kva.example");
        assert_eq!(domain("XN--BCHER-KVA.example"), "xn--bcher-kva.example");
        assert_eq!(domain("A..B"), "a..b");
    }

    #[test]
    fn another_alphabet_is_read_as_latin() {
        let fake = domain("bаnk.example");
        assert!(fake.starts_with("xn--"), "{fake}");
        assert_eq!(look_alike(&fake).as_deref(), Some("bank.example"));
        assert_eq!(look_alike("bank.example"), None);
        assert_eq!(look_alike(&domain("почта.example")), None);
    }
}
