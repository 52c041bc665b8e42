//! What a launcher may change while a job runs: pauses, limits, hours, and whether the game is played.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::Timelike;
use freshet_swarm::Policy;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::limiter::Limiter;
use crate::uplink::Uplink;

/// Least bound of what is fetched, in bytes a second: below it a chunk takes so long that peers and origins give up.
pub const DOWNLOAD_BYTES_S_MIN: u64 = 64_000;
/// How often hours are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const DAY_MINUTES: u16 = 24 * 60;

/// What is wanted of jobs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Nothing is fetched, handed out or installed.
    pub paused: bool,
    /// The game is played: nothing is handed out or installed, and what is fetched `while_playing` bounds.
    pub playing: bool,
    /// What may be fetched while the game is played.
    pub while_playing: WhilePlaying,
    /// When on a day something may be done; none: always.
    pub hours: Option<Hours>,
    /// The policy from now on; none: that of the job's options.
    pub policy: Option<Policy>,
}

/// What may be fetched while the game is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhilePlaying {
    /// Nothing.
    #[default]
    Nothing,
    /// So many bytes a second, at least [`DOWNLOAD_BYTES_S_MIN`].
    BytesPerSecond(u64),
}

/// Hours of each day by the local clock, like `02:00-08:00`. Those that end before they begin go on past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight.
    from: u16,
    until: u16,
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// Its owner wants it so.
    Asked,
    /// The game is played.
    Playing,
    /// It is not the time of the day.
    Hours,
}

/// Steers jobs. Cheap to clone; all clones, and all jobs whose options hold one, follow the same wishes.
#[derive(Debug, Clone)]
pub struct Control {
    wishes: watch::Sender<Wishes>,
    /// Bound of all that those jobs fetch together.
    limiter: Limiter,
    /// What all that they hand out leaves through, where it yields.
    uplink: Uplink,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            wishes: watch::Sender::new(Wishes::default()),
            limiter: Limiter::default(),
            uplink: Uplink::default(),
        }
    }
}

impl Control {
    /// What is wanted now.
    pub fn wishes(&self) -> Wishes {
        *self.wishes.borrow()
    }

    /// Changes what is wanted.
    pub fn change(&self, change: impl FnOnce(&mut Wishes)) {
        self.wishes.send_modify(change);
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    pub(crate) fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// Follows the wishes from now on.
    pub(crate) fn follow(&self) -> Following {
        Following { control: self.clone(), wishes: self.wishes.subscribe() }
    }
}

/// Someone who misses no change.
#[derive(Debug)]
pub(crate) struct Following {
    control: Control,
    wishes: watch::Receiver<Wishes>,
}

impl Following {
    /// What may be done now, by jobs whose options say `base`.
    pub(crate) fn standing(&self, base: Policy) -> Result<Policy, Pause> {
        let standing = self.control.wishes().standing(base, minute_of_day());
        if let Ok(policy) = standing {
            self.control.limiter.set(policy.download_bytes_s_max);
        }
        standing
    }

    /// Waits until something may have changed since it was last waited for.
    pub(crate) async fn changed(&mut self) {
        let has_hours = self.wishes.borrow().hours.is_some();
        tokio::select! {
            // The sender lives as long as this.
            _ = self.wishes.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY), if has_hours => {}
        }
    }
}

/// Why a rate is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is fetched can be bounded to {DOWNLOAD_BYTES_S_MIN} bytes a second and more")]
pub struct DownloadRateError;

/// Whether what is fetched can be bounded so, in bytes a second.
///
/// # Errors
/// [`DownloadRateError`] below [`DOWNLOAD_BYTES_S_MIN`].
pub fn check_download_rate(bytes_s: u64) -> Result<u64, DownloadRateError> {
    if bytes_s < DOWNLOAD_BYTES_S_MIN { Err(DownloadRateError) } else { Ok(bytes_s) }
}

impl Wishes {
    /// The policy from now on, to be changed; `base` is that of the job's options.
    pub fn policy_mut(&mut self, base: Policy) -> &mut Policy {
        self.policy.get_or_insert(base)
    }

    fn standing(&self, base: Policy, minute: u16) -> Result<Policy, Pause> {
        let policy = self.policy.unwrap_or(base);
        if self.paused {
            return Err(Pause::Asked);
        }
        if self.hours.is_some_and(|hours| !hours.contains(minute)) {
            return Err(Pause::Hours);
        }
        match (self.playing, self.while_playing) {
            (false, _) => Ok(policy),
            (true, WhilePlaying::Nothing) => Err(Pause::Playing),
            (true, WhilePlaying::BytesPerSecond(rate)) => {
                let rate = policy.download_bytes_s_max.map_or(rate, |own| own.min(rate));
                Ok(Policy { sharing: false, download_bytes_s_max: Some(rate), ..policy })
            }
        }
    }
}

impl Hours {
    fn contains(self, minute: u16) -> bool {
        match self.from <= self.until {
            true => (self.from..self.until).contains(&minute),
            false => minute >= self.from || minute < self.until,
        }
    }
}

/// Why hours are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} are no hours like 02:00-08:00")]
pub struct HoursError(String);

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let parse = || {
            let (from, until) = text.split_once('-')?;
            let (from, until) = (parse_minute(from)?, parse_minute(until)?);
            (from != until && from < DAY_MINUTES).then_some(Self { from, until })
        };
        parse().ok_or_else(|| HoursError(text.to_owned()))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, until] = [self.from, self.until].map(|minute| (minute / 60, minute % 60));
        write!(out, "{:02}:{:02}-{:02}:{:02}", from.0, from.1, until.0, until.1)
    }
}

/// `08:00`; 24:00 is the end of a day.
fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u16>().ok())?
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY_MINUTES).then_some(minutes)
}

fn minute_of_day() -> u16 {
    let now = chrono::Local::now();
    (now.hour() * 60 + now.minute()) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_said() {
        let check = |text: &str, inside: &[u16], outside: &[u16]| {
            let hours: Hours = text.parse().expect(text);
            assert_eq!(hours.to_string(), text);
            assert!(inside.iter().all(|&minute| hours.contains(minute)), "{text}");
            assert!(outside.iter().all(|&minute| !hours.contains(minute)), "{text}");
        };
        check("02:00-08:00", &[120, 479], &[0, 119, 480, 1439]);
        check("22:30-06:00", &[1350, 1439, 0, 359], &[360, 1349]);
        check("18:00-24:00", &[1080, 1439], &[0, 1079]);
        for text in [
            "",
            "2:00-8:00",
            "02:00",
            "02:00-02:00",
            "24:00-02:00",
            "02:60-03:00",
            "02:00-24:01",
            "a-b",
            "+2:00-08:00",
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }

    #[test]
    fn rates_have_a_least_one() {
        assert_eq!(check_download_rate(DOWNLOAD_BYTES_S_MIN), Ok(64_000));
        assert_eq!(check_download_rate(DOWNLOAD_BYTES_S_MIN - 1), Err(DownloadRateError));
    }

    #[test]
    fn a_changed_policy_keeps_what_was_changed_before() {
        let mut wishes = Wishes::default();
        wishes.policy_mut(Policy::default()).sharing = true;
        wishes.policy_mut(Policy::default()).upload_bytes_s_max = Some(7);
        let both = Policy { sharing: true, upload_bytes_s_max: Some(7), ..Policy::default() };
        assert_eq!(wishes.policy, Some(both));
    }

    #[test]
    fn wishes_are_followed_in_their_order() {
        let base = Policy { sharing: true, ..Policy::default() };
        let standing = |change: &dyn Fn(&mut Wishes)| {
            let mut wishes = Wishes::default();
            change(&mut wishes);
            wishes.standing(base, 300)
        };
        let hours = |text: &str| Some(text.parse().expect("hours"));
        assert_eq!(standing(&|_| {}), Ok(base));
        assert_eq!(standing(&|wishes| wishes.paused = true), Err(Pause::Asked));
        assert_eq!(standing(&|wishes| wishes.playing = true), Err(Pause::Playing));
        assert_eq!(standing(&|wishes| wishes.hours = hours("05:01-06:00")), Err(Pause::Hours));
        assert_eq!(standing(&|wishes| wishes.hours = hours("05:00-06:00")), Ok(base));
        let slow = Policy { sharing: false, download_bytes_s_max: Some(50_000), ..base };
        let while_playing = WhilePlaying::BytesPerSecond(50_000);
        assert_eq!(
            standing(&|wishes| *wishes = Wishes { playing: true, while_playing, ..Wishes::default() }),
            Ok(slow)
        );
        let slower = Policy { download_bytes_s_max: Some(20_000), ..base };
        let both = Wishes { playing: true, while_playing, policy: Some(slower), ..Wishes::default() };
        assert_eq!(both.standing(base, 0), Ok(Policy { sharing: false, ..slower }));
    }
}
