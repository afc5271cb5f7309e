//! What the well-known tests of SpamAssassin and rspamd look for, in plain words.
//!
//! The words stand in the catalogue, under `tests.`. A test that is not known here is shown by its
//! name alone; this file never decides anything.

/// Names of tests, and the words for them. A star at the end stands for any rest; the first line
/// that fits counts.
const KNOWN: &[(&str, &str)] = &[
    ("GTUBE", "gtube"),
    ("BAYES_00", "bayes_good"),
    ("BAYES_05", "bayes_good"),
    ("BAYES_20", "bayes_good"),
    ("BAYES_40", "bayes_good"),
    ("BAYES_HAM", "bayes_good"),
    ("BAYES_50", "bayes_even"),
    ("BAYES_*", "bayes"),
    ("NEURAL_HAM*", "bayes_good"),
    ("NEURAL_SPAM*", "bayes"),
    ("RCVD_IN_DNSWL_*", "server_good"),
    ("RCVD_IN_MSPIKE_H*", "server_good"),
    ("RCVD_IN_MSPIKE_WL", "server_good"),
    ("RWL_*", "server_good"),
    ("RCVD_IN_*", "server_listed"),
    ("RBL_*", "server_listed"),
    ("RECEIVED_*", "server_listed"),
    ("URIBL_*", "link_listed"),
    ("URI_IN_BLOCKLIST", "link_listed"),
    ("DBL_*", "link_listed"),
    ("SURBL_*", "link_listed"),
    ("*_SURBL_MULTI", "link_listed"),
    ("PHISHING", "phishing"),
    ("PHISHED_*", "phishing"),
    ("HTTP_TO_*", "phishing"),
    ("RAZOR2_*", "reported"),
    ("PYZOR*", "reported"),
    ("DCC_*", "reported"),
    ("FUZZY_*", "reported"),
    ("BULK_*", "reported"),
    ("SPF_FAIL", "spf_fail"),
    ("SPF_SOFTFAIL", "spf_fail"),
    ("R_SPF_FAIL", "spf_fail"),
    ("R_SPF_SOFTFAIL", "spf_fail"),
    ("SPF_PASS", "spf_pass"),
    ("R_SPF_ALLOW", "spf_pass"),
    ("SPF_NONE", "spf_none"),
    ("R_SPF_NA", "spf_none"),
    ("DKIM_INVALID", "dkim_fail"),
    ("R_DKIM_REJECT", "dkim_fail"),
    ("DKIM_VALID*", "dkim_pass"),
    ("R_DKIM_ALLOW", "dkim_pass"),
    ("DKIM_SIGNED", "dkim_pass"),
    ("R_DKIM_NA", "dkim_none"),
    ("DMARC_POLICY_ALLOW*", "dmarc_pass"),
    ("DMARC_PASS", "dmarc_pass"),
    ("DMARC_NA", "dmarc_none"),
    ("DMARC_MISSING", "dmarc_none"),
    ("DMARC_*", "dmarc_fail"),
    ("RDNS_NONE", "no_name"),
    ("HFILTER_HOSTNAME_UNKNOWN", "no_name"),
    ("RDNS_DYNAMIC", "home_line"),
    ("HELO_DYNAMIC*", "home_line"),
    ("MISSING_DATE", "date"),
    ("INVALID_DATE*", "date"),
    ("DATE_IN_*", "date"),
    ("MISSING_MID", "message_id"),
    ("INVALID_MSGID*", "message_id"),
    ("MISSING_SUBJECT", "no_subject"),
    ("EMPTY_SUBJECT", "no_subject"),
    ("MISSING_TO", "no_to"),
    ("MISSING_HEADERS", "no_to"),
    ("TO_*_BRKTS_*", "no_to"),
    ("UNDISC_RECIPS", "no_to"),
    ("R_UNDISC_RCPT", "no_to"),
    ("MISSING_FROM", "no_from"),
    ("FROM_NO_ADDR", "no_from"),
    ("SUBJ_ALL_CAPS", "capitals"),
    ("SUBJECT_ALL_CAPS", "capitals"),
    ("UPPERCASE_*", "capitals"),
    ("SPOOF_REPLYTO", "other_reply"),
    ("FORGED_*", "forged"),
    ("FAKE_*", "forged"),
    ("SPOOF_*", "forged"),
    ("MIME_BAD_EXTENSION", "attachment"),
    ("HTML_IMAGE_ONLY*", "picture"),
    ("HTML_IMAGE_RATIO*", "picture"),
    ("R_EMPTY_IMAGE", "picture"),
    ("HTML_MESSAGE", "web_page"),
    ("MIME_HTML_ONLY*", "web_page_only"),
    ("HTML_MIME_NO_HTML_TAG", "html_odd"),
    ("HTML_*", "html_odd"),
    ("MIME_*", "mime_odd"),
    ("FREEMAIL_FORGED_REPLYTO", "other_reply"),
    ("FREEMAIL_REPLYTO*", "other_reply"),
    ("FREEMAIL_*", "freemail"),
    ("ADVANCE_FEE_*", "money"),
    ("LOTS_OF_MONEY", "money"),
    ("MONEY_*", "money"),
    ("FREE_OFFER", "offer"),
    ("CLICK_HERE", "offer"),
    ("DRUGS_*", "offer"),
    ("SUSPICIOUS_ATTACHMENT*", "attachment"),
    ("URI_HEX", "odd_link"),
    ("NUMERIC_HTTP_ADDR", "odd_link"),
    ("NORMAL_HTTP_TO_IP", "odd_link"),
    ("SHORT_URL*", "odd_link"),
    ("EMPTY_MESSAGE", "empty"),
];

/// The key below `tests.` of the words for a test.
pub(super) fn meaning(test: &str) -> Option<&'static str> {
    let name = test.split('(').next().unwrap_or(test).trim();
    let known = KNOWN.iter().find(|(pattern, _)| fits(pattern, name));
    known.map(|(_, words)| *words)
}

/// Whether a name fits: pieces between stars, in order.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| after.is_empty() || ends_so(after, rest)),
    }
}

/// Whether some end of the name fits the rest of the pattern.
fn ends_so(pattern: &str, rest: &str) -> bool {
    let mut ends = rest.char_indices().map(|(at, _)| &rest[at..]);
    ends.any(|end| fits(pattern, end))
}

/// A test for each of the words: for the samples.
pub(crate) fn examples() -> Vec<String> {
    let mut seen = Vec::new();
    let mut examples = Vec::new();
    for (pattern, _) in KNOWN {
        let name = pattern.replace('*', "X");
        let words = meaning(&name);
        if !seen.contains(&words) {
            seen.push(words);
            examples.push(name);
        }
    }
    examples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_tests_have_words() {
        for (test, want) in [
            ("GTUBE", Some("gtube")),
            ("BAYES_99", Some("bayes")),
            ("BAYES_00", Some("bayes_good")),
            ("RCVD_IN_DNSWL_MED", Some("server_good")),
            ("RCVD_IN_XBL", Some("server_listed")),
            ("ABUSE_SURBL_MULTI", Some("link_listed")),
            ("TO_NO_BRKTS_PCNT", Some("no_to")),
            ("FREEMAIL_REPLYTO_END_DIGIT", Some("other_reply")),
            ("R_SPF_FAIL(1.00)", Some("spf_fail")),
            ("MY_OWN_RULE", None),
            ("", None),
            ("gtube", None),
        ] {
            assert_eq!(meaning(test), want, "{test}");
        }
    }

    #[test]
    fn every_line_can_be_reached() {
        for (pattern, words) in KNOWN {
            let name = pattern.replace('*', "X");
            assert_eq!(meaning(&name), Some(*words), "{pattern}");
        }
    }
}
