//! What a launcher says on stdin while a job runs: one JSON object a line, with what is to change.

use std::io::BufRead;

use freshet_edge_node::{Control, DOWNLOAD_BYTES_S_MIN, Policy, WhilePlaying, Wishes, check_download_rate};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::cli::quantity::Rate;

/// Longest line that is read.
const LINE_BYTES_MAX: usize = 4096;

/// Follows what is said on stdin, on a thread of its own; its end stops the job, so that a node does not outlive the
/// launcher that started it.
pub(crate) fn follow(control: Control, base: Policy, stop: CancellationToken) {
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut line = Vec::new();
        while let Ok(1..) = read_line(&mut stdin, &mut line) {
            let said = String::from_utf8_lossy(&line);
            match understand(said.trim(), base, control.wishes()) {
                Ok(Said::Wishes(wishes)) => control.change(|now| *now = wishes),
                Ok(Said::Stop) => break,
                Err(reason) => eprintln!("freshet-node: {reason}; nothing changes"),
            }
        }
        stop.cancel();
    });
}

/// Reads a line, of which what is too long is left out; how many bytes it had.
fn read_line(stdin: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    line.clear();
    let mut read = 0;
    loop {
        let bytes = stdin.fill_buf()?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (taken, is_over) = (end.map_or(bytes.len(), |end| end + 1), end.is_some() || bytes.is_empty());
        let room = (LINE_BYTES_MAX + 1).saturating_sub(line.len());
        line.extend_from_slice(&bytes[..taken.min(room)]);
        stdin.consume(taken);
        read += taken;
        if is_over {
            return Ok(read);
        }
    }
}

#[derive(Debug, PartialEq)]
enum Said {
    Wishes(Wishes),
    Stop,
}

/// What a line means for the wishes until now.
fn understand(line: &str, base: Policy, mut wishes: Wishes) -> Result<Said, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("a line has at most {LINE_BYTES_MAX} bytes"));
    }
    let said: Map<String, Value> = serde_json::from_str(line)
        .map_err(|_| format!("{line:?} is no JSON object like {{\"paused\":true}}"))?;
    for (name, value) in &said {
        let wrong = |expected: &str| format!("{name:?} is {expected}, not {value}");
        let flag = || value.as_bool().ok_or_else(|| wrong("true or false"));
        match name.as_str() {
            "paused" => wishes.paused = flag()?,
            "playing" => wishes.playing = flag()?,
            "while_playing" => {
                let rate = download_rate(value).map_err(|expected| wrong(&expected))?;
                wishes.while_playing = rate.map_or(WhilePlaying::Nothing, WhilePlaying::BytesPerSecond);
            }
            "hours" => {
                let hours =
                    value.as_str().map(|text| text.parse().map_err(|_| wrong("like \"02:00-08:00\"")));
                wishes.hours = match hours {
                    Some(hours) => Some(hours?),
                    None if value.is_null() => None,
                    None => return Err(wrong("like \"02:00-08:00\", or null")),
                };
            }
            "download_rate" => {
                let rate = download_rate(value).map_err(|expected| wrong(&expected))?;
                wishes.policy_mut(base).download_bytes_s_max = rate;
            }
            "share" => wishes.policy_mut(base).sharing = flag()?,
            "share_rate" => {
                let rate = rate(value).map_err(|expected| wrong(&expected))?;
                wishes.policy_mut(base).upload_bytes_s_max = rate;
            }
            "stop" if flag()? => return Ok(Said::Stop),
            "stop" => {}
            _ => return Err(format!("{name:?} is not known here")),
        }
    }
    Ok(Said::Wishes(wishes))
}

/// A rate in bytes a second or as `"2MB/s"`, or `null` for none.
fn rate(value: &Value) -> Result<Option<u64>, String> {
    let expected = || "a number of bytes a second, a rate like \"2MB/s\", or null".to_owned();
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number.as_u64().map(Some).ok_or_else(expected),
        Value::String(text) => text.parse().map(|Rate(rate)| Some(rate)).map_err(|_| expected()),
        _ => Err(expected()),
    }
}

fn download_rate(value: &Value) -> Result<Option<u64>, String> {
    let checked = rate(value)?.map(check_download_rate).transpose();
    checked.map_err(|_| format!("at least {DOWNLOAD_BYTES_S_MIN} bytes a second, or null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> Result<Wishes, String> {
        lines.iter().try_fold(Wishes::default(), |wishes, line| {
            match understand(line, Policy::default(), wishes)? {
                Said::Wishes(wishes) => Ok(wishes),
                Said::Stop => Err("stop".to_owned()),
            }
        })
    }

    #[test]
    fn each_word_changes_one_thing() {
        let policy = |lines: &[&str]| after(lines).expect("understood").policy;
        assert_eq!(after(&["{}"]), Ok(Wishes::default()));
        assert_eq!(after(&["{\"paused\":true}"]), Ok(Wishes { paused: true, ..Wishes::default() }));
        assert_eq!(after(&["{\"paused\":true}", "{\"paused\":false}"]), Ok(Wishes::default()));
        let playing = after(&["{\"while_playing\":\"70kB/s\",\"playing\":true}"]).expect("understood");
        assert!(playing.playing);
        assert_eq!(playing.while_playing, WhilePlaying::BytesPerSecond(70_000));
        let hours = after(&["{\"hours\":\"22:00-06:00\"}"]).expect("understood").hours;
        assert_eq!(hours.expect("set").to_string(), "22:00-06:00");
        assert_eq!(after(&["{\"hours\":\"22:00-06:00\"}", "{\"hours\":null}"]), Ok(Wishes::default()));
        let limited = Policy { download_bytes_s_max: Some(2_000_000), ..Policy::default() };
        assert_eq!(policy(&["{\"download_rate\":2000000}"]), Some(limited));
        assert_eq!(policy(&["{\"download_rate\":\"2MB/s\"}"]), Some(limited));
        assert_eq!(
            policy(&["{\"download_rate\":\"2MB/s\"}", "{\"download_rate\":null}"]),
            Some(Policy::default())
        );
        let shared = Policy { sharing: true, upload_bytes_s_max: Some(7), ..Policy::default() };
        assert_eq!(policy(&["{\"share\":true,\"share_rate\":7}"]), Some(shared));
        assert_eq!(after(&["{\"stop\":true}"]), Err("stop".to_owned()));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let check = |line: &str, expected: &str| {
            let said = after(&[line]).expect_err(line);
            assert!(said.contains(expected), "{line}: {said}");
        };
        check("", "no JSON object like");
        check("[]", "no JSON object like");
        check("{\"pause\":true}", "\"pause\" is not known here");
        check("{\"paused\":1}", "\"paused\" is true or false, not 1");
        check("{\"hours\":\"2-3\"}", "\"hours\" is like \"02:00-08:00\", not \"2-3\"");
        check("{\"hours\":2}", "or null, not 2");
        check("{\"download_rate\":1000}", "at least 64000 bytes a second");
        check("{\"download_rate\":-1}", "a number of bytes a second");
        check("{\"share_rate\":\"fast\"}", "a rate like \"2MB/s\"");
        check(&format!("{{\"paused\":{}}}", "1".repeat(5000)), "at most 4096 bytes");
    }

    #[test]
    fn lines_are_read_one_by_one() {
        let mut input = std::io::Cursor::new(format!("a\n{}\nb", "x".repeat(9999)));
        let mut line = Vec::new();
        let mut next = || {
            let read = read_line(&mut input, &mut line).expect("read");
            (read, line.len())
        };
        assert_eq!([next(), next(), next(), next()], [(2, 2), (10_000, LINE_BYTES_MAX + 1), (1, 1), (0, 0)]);
    }
}
