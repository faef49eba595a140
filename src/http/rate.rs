//! Requests per second of one client: a token bucket for each address.
//!
//! Requests for health and metrics do not count here: each connection has a separate bucket for
//! them, so that no other client can use it up.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Most addresses remembered; the one silent longest is forgotten first.
const CLIENTS_MAX: usize = 4096;
/// Largest burst, in seconds' worth of requests.
const BURST_S: f64 = 2.0;

/// Tokens that clients have left.
#[derive(Debug)]
pub(super) struct Rates {
    per_s: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

/// Tokens that one client has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket for this many requests per second.
    pub(super) fn new(per_s: f64, now: Instant) -> Self {
        Self {
            tokens: per_s * BURST_S,
            at: now,
        }
    }

    /// Takes a token, or returns the seconds until there is one.
    pub(super) fn take(&mut self, per_s: f64, now: Instant) -> Result<(), u64> {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * per_s).min(per_s * BURST_S);
        self.at = now;
        if self.tokens < 1.0 {
            let wait = ((1.0 - self.tokens) / per_s).ceil();
            return Err((wait as u64).max(1));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

impl Rates {
    /// Limits clients to this many requests per second.
    pub(super) fn new(per_s: u32) -> Self {
        Self {
            per_s: f64::from(per_s),
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of `client`, or returns the seconds until there is one.
    pub(super) fn take(&self, client: IpAddr, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let client = network(client);
        // The table is bounded, because requests from many addresses must not fill the memory.
        if buckets.len() >= CLIENTS_MAX && !buckets.contains_key(&client) {
            let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at);
            if let Some(oldest) = oldest.map(|(client, _)| *client) {
                buckets.remove(&oldest);
            }
        }
        let bucket = buckets.entry(client);
        let bucket = bucket.or_insert_with(|| Bucket::new(self.per_s, now));
        bucket.take(self.per_s, now)
    }
}

/// The network that counts as one client: an IPv6 customer has a whole /64, with more addresses
/// than can be remembered.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            // A single IPv6 client is given a whole /64 network, and could use a new address for
            // each request.
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_gets_its_rate_and_no_more() {
        let rates = Rates::new(10);
        let client: IpAddr = "192.0.2.1".parse().expect("an address");
        let start = Instant::now();
        let taken = |at_ms| {
            let now = start + Duration::from_millis(at_ms);
            (0..100).filter(|_| rates.take(client, now).is_ok()).count()
        };
        assert_eq!(taken(0), 20);
        assert_eq!(taken(1000), 10);
        assert_eq!(rates.take(client, start + Duration::from_secs(1)), Err(1));
        // Another one has its own.
        let other = "192.0.2.2".parse().expect("an address");
        assert_eq!(rates.take(other, start), Ok(()));
        // A customer's addresses are one client.
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), client);
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let rates = Rates::new(1);
        let now = Instant::now();
        for i in 0..2 * CLIENTS_MAX as u32 {
            let later = now + Duration::from_millis(u64::from(i));
            assert!(rates.take(IpAddr::V4(i.into()), later).is_ok());
        }
        let buckets = rates.buckets.lock().expect("no panic");
        assert_eq!(buckets.len(), CLIENTS_MAX);
        assert!(!buckets.contains_key(&IpAddr::V4(0.into())));
    }
}
