//! A wait at random, so that those who failed together come back one by one (M. Brooker, "Exponential Backoff and
//! Jitter", 2015).

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// A random wait up to `max`.
pub(crate) fn jitter(max: Duration) -> Duration {
    let mut random = [0; 4];
    SystemRandom::new().fill(&mut random).expect("the operating system gives random bytes");
    max.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_fills_the_wait() {
        let max = Duration::from_secs(30);
        let waits: Vec<Duration> = (0..200).map(|_| jitter(max)).collect();
        assert!(waits.iter().all(|wait| *wait <= max));
        assert!(waits.iter().any(|wait| *wait < max / 4) && waits.iter().any(|wait| *wait > max * 3 / 4));
    }
}
