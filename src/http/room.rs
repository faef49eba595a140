//! Room for connections, and which of them make way when it is short.
//!
//! A new connection starts in the lobby. With the head of its first request it gets one of the
//! `http.connections` *places*, unless it asks for health or metrics: these are answered in the
//! lobby, so that clients holding places cannot keep them out. When the lobby is full, the
//! connection idle longest is closed, so a client that sends a request head at once is always
//! heard. When all places are taken, idle connections are closed first, then those that do not read
//! their answers, then those with slow bodies; if none qualifies, a request waits a while and is
//! then told to retry. The same applies to other scarce resources ([`Uses`]).
//!
//! Among the candidates, the address with the most connections is hit first. One address never gets
//! all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval, sleep_until};

use super::connection::{Connection, Stage, Standing, Uses};

/// Most connections without a place: before their first request head, waiting for a place, or
/// asking for health.
pub(super) const LOBBY_MAX: usize = 256;
/// Of these, most requests waiting for a place.
const WAITING_MAX: usize = LOBBY_MAX / 2;
/// Most connections that have their answer and are drained for a while so that the client can read
/// it.
pub(super) const ENDING_MAX: usize = 64;
/// Longest time that a request waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// How often a waiting request checks for a connection that must make way.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// 1/this of the places stays out of reach of an address that holds all others.
const OTHERS_SHARE: usize = 8;

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    places: Arc<Semaphore>,
    places_max: usize,
}

/// Registers a connection until this is dropped.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Arc<Connection>,
    of: Arc<Connections>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.of.open_now().remove(&self.connection.id);
        // What still works on its last request needs no place.
        self.connection.set_stage(Stage::Ending);
    }
}

impl Connections {
    /// No connections yet, and `places_max` places.
    pub(super) fn new(places_max: usize) -> Self {
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(0),
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
        }
    }

    fn open_now(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection in the lobby; it is registered until dropped.
    pub(super) fn open(self: &Arc<Self>, peer: IpAddr) -> Opened {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(id, peer));
        // Done before the new connection is registered, so that it is never the one to go.
        self.thin(Stage::Open, LOBBY_MAX - WAITING_MAX);
        self.open_now().insert(id, Arc::clone(&connection));
        Opened {
            connection,
            of: Arc::clone(self),
        }
    }

    /// Ends the connection without a place that has been at `stage` longest, if there are at least
    /// `most` of them.
    fn thin(&self, stage: Stage, most: usize) {
        let open = self.open_now();
        let without = open
            .values()
            .filter(|one| one.stage() == stage && !one.has_place());
        let without: Vec<_> = without
            .filter_map(|one| Some((one, one.quiet_since()?)))
            .collect();
        if without.len() < most {
            return;
        }
        let counts = counted(without.iter().map(|(one, _)| one.network));
        let oldest = without.iter().max_by_key(|(one, since)| {
            (
                counts.get(&one.network),
                std::cmp::Reverse((*since, one.id)),
            )
        });
        if let Some((oldest, _)) = oldest {
            // The connection is only notified; it leaves the map when its task ends.
            oldest.end();
        }
    }

    /// Called when the system has no room for another connection: ends one that does nothing.
    pub(super) fn shed(&self) {
        if !self.make_way(Uses::Nothing, None) {
            self.thin(Stage::Ending, 1);
            self.thin(Stage::Open, 1);
        }
    }

    /// Marks a connection that has its last answer: it gives up its place and is drained for a
    /// while.
    pub(super) fn ending(&self, connection: &Connection) {
        self.thin(Stage::Ending, ENDING_MAX);
        connection.set_stage(Stage::Ending);
    }

    /// Ends a connection that must make way for the scarce resource, from one address if given;
    /// returns whether there was anybody.
    pub(super) fn make_way(&self, what: Uses, of: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let open = self.open_now();
        let candidates = open
            .values()
            .filter(|one| of.is_none_or(|network| one.network == network))
            .filter_map(|one| Some((one, one.standing(what, now)?)));
        let candidates: Vec<(&Arc<Connection>, Standing)> = candidates.collect();
        let counts = counted(candidates.iter().map(|(one, _)| one.network));
        let first = candidates.iter().min_by(|(one, this), (other, that)| {
            let ((class, number), (other_class, other_number)) = (this.order(), that.order());
            let many = |one: &Connection| counts.get(&one.network).copied().unwrap_or(0);
            class
                .cmp(&other_class)
                .then(many(other).cmp(&many(one)))
                // Within a class: idle longest, blocked longest, slowest.
                .then(number.total_cmp(&other_number))
                .then(one.id.cmp(&other.id))
        });
        if let Some((first, _)) = first {
            first.end();
        }
        first.is_some()
    }

    /// Gives a connection a place, waiting a while if necessary; returns whether it got one.
    pub(super) async fn claim(&self, connection: &Connection) -> bool {
        if connection.has_place() {
            return true;
        }
        let free = self.places.available_permits();
        // What is left then is kept for others.
        // Counting an address's places takes a lock and a pass over all connections: only where
        // they run short.
        let is_kept = free > 0 && free <= self.places_max / OTHERS_SHARE;
        if is_kept && self.has_its_share(connection.network) {
            if !self.make_way(Uses::Nothing, Some(connection.network)) {
                return false;
            }
        } else if self.waiting() >= WAITING_MAX {
            return false;
        }
        connection.set_stage(Stage::Waiting);
        let place = self.room(Uses::Nothing, &self.places, 1).await;
        connection.set_stage(Stage::Open);
        let has_come = place.is_some();
        if let Some(place) = place {
            connection.take_place(place);
        }
        has_come
    }

    fn waiting(&self) -> usize {
        let open = self.open_now();
        let waiting = open.values().filter(|one| one.stage() == Stage::Waiting);
        waiting.count()
    }

    /// True if an address has all the places that one may have.
    fn has_its_share(&self, network: IpAddr) -> bool {
        let share = self.places_max - self.places_max / OTHERS_SHARE;
        let open = self.open_now();
        let own = open.values().filter(|one| one.network == network);
        own.filter(|one| one.has_place()).count() >= share
    }

    /// Takes `units` of a scarce resource, for which others may have to make way; `None` if there
    /// was not enough.
    pub(super) async fn room(
        &self,
        what: Uses,
        from: &Arc<Semaphore>,
        units: u32,
    ) -> Option<OwnedSemaphorePermit> {
        // The usual case, without timers.
        if let Ok(permit) = Arc::clone(from).try_acquire_many_owned(units) {
            return Some(permit);
        }
        let until = Instant::now() + ROOM_PATIENCE;
        let mut permit = std::pin::pin!(Arc::clone(from).acquire_many_owned(units));
        let mut look = interval(LOOK_EVERY);
        let mut has_hope = what != Uses::Push;
        loop {
            tokio::select! {
                // A permit that came at the last moment counts: it is asked for before the clock.
                biased;
                permit = permit.as_mut() => return permit.ok(),
                () = sleep_until(until) => return None,
                _ = look.tick() => has_hope |= self.make_way(what, None),
            }
            // Bodies that wait for each other's memory would all wait in vain.
            if !has_hope {
                return None;
            }
        }
    }
}

/// Number of connections per address.
fn counted(networks: impl Iterator<Item = IpAddr>) -> HashMap<IpAddr, usize> {
    let mut counts = HashMap::new();
    for network in networks {
        *counts.entry(network).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::super::pace::Pace;
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    async fn is_ended(opened: &Opened) -> bool {
        let moment = Duration::from_millis(1);
        timeout(moment, opened.connection.must_end()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_been_idle_longest_makes_room() {
        let connections = Arc::new(Connections::new(3));
        let busy = connections.open(ONE);
        assert!(connections.claim(&busy.connection).await);
        let _request = busy.connection.begin();
        assert!(!connections.make_way(Uses::Nothing, None));
        let first = connections.open(ONE);
        assert!(connections.claim(&first.connection).await);
        sleep(Duration::from_secs(1)).await;
        let second = connections.open(ONE);
        assert!(connections.claim(&second.connection).await);
        sleep(Duration::from_secs(1)).await;
        // It had an answer since: the second has been idle longer.
        drop(first.connection.begin());
        let newcomer = connections.open(ONE);
        let mut claim = std::pin::pin!(connections.claim(&newcomer.connection));
        assert!(timeout(LOOK_EVERY / 2, claim.as_mut()).await.is_err());
        assert!(is_ended(&second).await);
        assert!(!is_ended(&first).await);
        drop(second);
        assert!(claim.await);
        assert!(!is_ended(&busy).await);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_answered_a_request_waits_and_is_then_told_to_come_again() {
        let connections = Arc::new(Connections::new(1));
        let busy = connections.open(ONE);
        assert!(connections.claim(&busy.connection).await);
        let _request = busy.connection.begin();
        let newcomer = connections.open(OTHER);
        let begun = Instant::now();
        assert!(!connections.claim(&newcomer.connection).await);
        assert_eq!(begun.elapsed(), ROOM_PATIENCE);
        let (waiting, ()) = tokio::join!(connections.claim(&newcomer.connection), async {
            sleep(Duration::from_secs(1)).await;
            drop(busy);
        });
        assert!(waiting);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_make_room_the_slowest_first_and_fast_ones_do_not() {
        let connections = Arc::new(Connections::new(3));
        let mut all = Vec::new();
        for rate in [10_000, 1000, 1 << 20] {
            let opened = connections.open(ONE);
            assert!(connections.claim(&opened.connection).await);
            let request = opened.connection.begin();
            let pace = Pace::new(Instant::now(), 1, None);
            opened.connection.set_pace(Some(pace));
            all.push((opened, request, rate));
        }
        for _ in 0..20 {
            for (opened, _, rate) in &all {
                let now = Instant::now();
                let came = |pace: &mut Pace| pace.test(now, rate / 10);
                opened.connection.with_pace(came);
            }
            sleep(Duration::from_millis(100)).await;
        }
        let cut = |i: usize| {
            all[i]
                .0
                .connection
                .with_pace(|pace: &mut Pace| pace.is_cut())
        };
        let mut seen = Vec::new();
        while connections.make_way(Uses::Nothing, None) {
            seen.push([cut(0), cut(1), cut(2)].map(|cut| cut == Some(true)));
        }
        assert_eq!(seen, [[false, true, false], [true, true, false]]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lobby_makes_room_for_who_comes_of_the_address_that_fills_it() {
        let connections = Arc::new(Connections::new(1));
        let honest = connections.open(OTHER);
        let mut silent = Vec::new();
        for _ in 0..LOBBY_MAX - WAITING_MAX - 1 {
            sleep(Duration::from_millis(1)).await;
            silent.push(connections.open(ONE));
        }
        assert!(!is_ended(&silent[0]).await);
        let newcomer = connections.open(OTHER);
        assert!(is_ended(&silent[0]).await);
        for one in [&silent[1], &honest, &newcomer] {
            assert!(!is_ended(one).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_system_has_no_room_who_does_nothing_goes() {
        let connections = Arc::new(Connections::new(2));
        let busy = connections.open(ONE);
        assert!(connections.claim(&busy.connection).await);
        let _request = busy.connection.begin();
        let silent = connections.open(ONE);
        let idle = connections.open(ONE);
        assert!(connections.claim(&idle.connection).await);
        connections.shed();
        assert!(is_ended(&idle).await);
        assert!(!is_ended(&silent).await);
        connections.shed();
        assert!(is_ended(&silent).await);
        connections.shed();
        assert!(!is_ended(&busy).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_does_not_get_all_places() {
        let connections = Arc::new(Connections::new(16));
        let mut held = Vec::new();
        for i in 0..16 {
            let opened = connections.open(ONE);
            let request = opened.connection.begin();
            let has_place = connections.claim(&opened.connection).await;
            assert_eq!(has_place, i < 14, "{i}");
            held.push((opened, request));
        }
        let other = connections.open(OTHER);
        assert!(connections.claim(&other.connection).await);
    }
}
