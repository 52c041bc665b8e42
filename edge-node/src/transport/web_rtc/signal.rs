//! What two peers say to each other through the tracker until their connection stands (PROTOCOL.md 8).

use serde::{Deserialize, Serialize};

/// A message of signalling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Signal {
    /// The dialer's description.
    Offer { sdp: String },
    /// The other side's.
    Answer { sdp: String },
    /// An address at which the sender may be reached.
    Candidate {
        candidate: String,
        /// The section of the description that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<String>,
    },
    /// The sender has no further candidates.
    End,
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

impl Signal {
    /// Reads a message; the tracker has bounded its length.
    pub(super) fn read(data: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(data)
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).expect("a signal is valid JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let check = |signal: Signal, text: &str| {
            assert_eq!(signal.write(), text);
            assert_eq!(Signal::read(text).expect(text), signal);
        };
        check(Signal::Offer { sdp: "v=0\r\n".to_owned() }, r#"{"type":"offer","sdp":"v=0\r\n"}"#);
        check(Signal::Answer { sdp: String::new() }, r#"{"type":"answer","sdp":""}"#);
        let mid = Some("0".to_owned());
        check(
            Signal::Candidate { candidate: "c".to_owned(), mid },
            r#"{"type":"candidate","candidate":"c","mid":"0"}"#,
        );
        check(Signal::End, r#"{"type":"end"}"#);
        let read = |text| Signal::read(text).ok();
        assert_eq!(read(r#"{"type":"restart","why":1}"#), Some(Signal::Unknown));
        assert_eq!(read(r#"{"type":"end","new":1}"#), Some(Signal::End));
        let without_mid = Signal::Candidate { candidate: "c".to_owned(), mid: None };
        assert_eq!(read(r#"{"type":"candidate","candidate":"c"}"#), Some(without_mid));
        assert_eq!(read(r#"{"type":"offer"}"#), None);
        assert_eq!(read("[]"), None);
    }
}
