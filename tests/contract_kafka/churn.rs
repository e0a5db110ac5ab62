//! Members come and go while records flow: whoever holds a partition sees every offset in its order, none twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tollbridge::adapters::kafka::{Feeder, Protocol};
use tollbridge::domain::id::{Offset, Partition, Version};
use tollbridge::ports::publisher::{Committing, Publisher};
use tollbridge::ports::source::{Source, SourceEvent, Start};

use crate::stage::{BOTH, Member, PATIENCE, Stage, numbers, point};

const PARTITIONS: u32 = 4;
const GUESTS: u32 = 4;

/// Reads as a careless owner would: it starts where the group stands, counts, and commits at once.
struct Owner {
    member: Member,
    next: BTreeMap<Partition, (Version, i64)>,
    versions: u64,
    seen: u64,
    /// Whether it has had anything to do.
    busy: watch::Sender<bool>,
}

impl Owner {
    async fn new(stage: &Stage) -> Self {
        let member = stage.member();
        member.publisher.renew().await.unwrap();
        Self {
            member,
            next: BTreeMap::new(),
            versions: 0,
            seen: 0,
            busy: watch::Sender::new(false),
        }
    }

    async fn run(mut self, mut stop: watch::Receiver<bool>) -> u64 {
        loop {
            tokio::select! {
                biased;
                event = self.member.next() => self.take(event).await,
                _ = stop.changed() => break,
            }
        }
        self.member.source.leave().await;
        self.seen
    }

    async fn take(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Assigned { ticket, partitions, .. } => {
                let mut starts = Vec::new();
                for at in self.member.source.committed(partitions).await.unwrap() {
                    self.versions += 1;
                    let version = Version(self.versions);
                    let offset = at.point.map_or(Offset(0), |(offset, _)| offset);
                    self.next.insert(at.partition, (version, offset.0));
                    starts.push(Start { partition: at.partition, version, offset, topic: None });
                }
                self.member.source.assign(ticket, starts.clone());
                for start in starts {
                    self.member.source.demand(start.partition, start.version, 37);
                }
            }
            SourceEvent::Revoked { ticket, partitions, lost } => {
                assert!(!lost);
                for partition in &partitions {
                    self.next.remove(partition);
                }
                self.member.source.release(ticket);
            }
            SourceEvent::Records { partition, version, records } => {
                // What was on its way when the partition was revoked.
                let Some((current, next)) = self.next.get_mut(&partition) else { return };
                if version != *current {
                    // Nor is it ours what was on its way when we went back to where the group stands.
                    assert!(version < *current, "{version:?} was never given out");
                    return;
                }
                for record in &records {
                    assert_eq!(record.offset, Offset(*next), "partition {partition}");
                    *next += 1;
                }
                let next = *next;
                self.commit(partition, next, records.len()).await;
                if let Some((version, _)) = self.next.get(&partition) {
                    self.member.source.demand(partition, *version, 37);
                }
            }
            SourceEvent::End { .. } => {}
            event => panic!("{event:?}"),
        }
    }

    async fn commit(&mut self, partition: Partition, next: i64, records: usize) {
        let membership = self.member.membership().await;
        if !membership.owned.contains(&partition) {
            return;
        }
        let points = vec![point(partition.0, next, "")];
        let committed = self.member.publisher.commit(membership.snapshot, vec![], points).await;
        if let Committing::Unclear(why) = committed {
            println!("partition {partition}: {why}");
            return self.settle(partition, next, records).await;
        }
        self.see(records);
    }

    fn see(&mut self, records: usize) {
        self.seen += records as u64;
        // Nobody may be looking.
        self.busy.send(true).ok();
    }

    /// A rebalance can come between the snapshot and its use. Then only Kafka knows.
    async fn settle(&mut self, partition: Partition, next: i64, records: usize) {
        self.member.publisher.renew().await.unwrap();
        let mut all = self.member.source.committed(vec![partition]).await.unwrap();
        let (offset, _) = all.remove(0).point.unwrap_or((Offset(0), String::new()));
        if offset == Offset(next) {
            self.see(records);
        } else {
            self.versions += 1;
            let version = Version(self.versions);
            self.next.insert(partition, (version, offset.0));
            self.member.source.rewind(Start { partition, version, offset, topic: None });
        }
    }
}

#[tokio::test]
async fn nothing_is_skipped_while_members_come_and_go() {
    for protocol in BOTH {
        check(protocol).await;
    }
}

async fn check(protocol: Protocol) {
    let stage = Stage::new(protocol, PARTITIONS);
    let (stop, stopped) = watch::channel(false);
    let host = Owner::new(&stage).await;
    let host = tokio::spawn(host.run(stopped.clone()));
    let fed = Arc::new(AtomicU32::new(0));
    let feeding = {
        let (stage, stopped, fed) = (stage.clone(), stopped.clone(), fed.clone());
        std::thread::spawn(move || {
            let feeder = Feeder::new(&stage.settings).unwrap();
            while !*stopped.borrow() {
                for partition in 0..PARTITIONS {
                    stage.feed_by(&feeder, i32::try_from(partition).unwrap(), numbers(0, 20));
                }
                fed.fetch_add(20, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let mut by_guests = 0;
    for _ in 0..GUESTS {
        let (go, gone) = watch::channel(false);
        let guest = Owner::new(&stage).await;
        let mut busy = guest.busy.subscribe();
        let guest = tokio::spawn(guest.run(gone));
        let served = tokio::time::timeout(PATIENCE, busy.wait_for(|busy| *busy)).await;
        served.expect("nothing for a guest").unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        go.send(true).unwrap();
        by_guests += guest.await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    stop.send(true).unwrap();
    let by_host = host.await.unwrap();
    feeding.join().unwrap();
    let fed = fed.load(Ordering::Relaxed);
    println!("{protocol:?}: host {by_host}, guests {by_guests}, fed {fed} to each partition");
    assert!(by_host > 0 && by_guests > 0);

    // The rest, by a last member: so that every offset was someone's.
    let mut last = Owner::new(&stage).await;
    let end = i64::from(fed);
    let finished = async {
        while last.next.len() < PARTITIONS as usize || last.next.values().any(|(_, n)| *n < end) {
            let event = last.member.next().await;
            last.take(event).await;
        }
    };
    tokio::time::timeout(PATIENCE, finished).await.expect("not finished");
    let all = by_host + by_guests + last.seen;
    assert_eq!(all, u64::from(fed * PARTITIONS), "each was committed by one owner, once");
    last.member.source.leave().await;
}
