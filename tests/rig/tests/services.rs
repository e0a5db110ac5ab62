//! The rig's promises about itself: a service starts, keeps its data over a kill, answers again on the
//! same port, can be paused, and nothing of it is left behind.

#![allow(clippy::unwrap_used, reason = "the lint spares only functions marked as tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;
use tollbridge_rig::{
    Direction, Kafka, KafkaOptions, Launch, Postgres, Proxy, Redis, RedisOptions, Reply, Signal,
    TempDir, free_port, shared_kafka, shared_postgres, shared_redis, wait_until,
};

const SOON: Duration = Duration::from_secs(60);

fn is_alive(pid: u32) -> bool {
    // A zombie nobody reaps is dead enough: its state is the word after the name in brackets.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

fn kcat(args: &[&str]) -> String {
    Launch::new("kcat").args(args).run(SOON).unwrap()
}

fn produce(bootstrap: &str, topic: &str, file: &Path) {
    let file = file.display().to_string();
    kcat(&["-P", "-q", "-b", bootstrap, "-t", topic, "-p", "0", "-K", ":", "-l", &file]);
}

#[test]
fn kafka_keeps_records_over_a_kill_and_answers_on_the_same_port() {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic("kept", 2).unwrap();
    kafka.create_topic("kept", 2).unwrap();
    let folder = TempDir::new("records").unwrap();
    let file = folder.join("records");
    std::fs::write(&file, "key:value\nother:value 2\n").unwrap();
    produce(&kafka.bootstrap(), "kept", &file);
    let before = kafka.read_committed("kept").unwrap();
    assert_eq!(before.len(), 2);
    assert_eq!(before[1].key.as_deref(), Some(b"other".as_slice()));
    assert_eq!(before[1].value.as_deref(), Some(b"value 2".as_slice()));
    assert_eq!((before[1].partition, before[1].offset), (0, 1));

    let pid = kafka.pid().unwrap();
    kafka.kill();
    assert!(!is_alive(pid));
    assert!(TcpStream::connect(kafka.bootstrap()).is_err());
    kafka.restart().unwrap();
    assert_ne!(kafka.pid().unwrap(), pid);
    assert_eq!(kafka.read_committed("kept").unwrap(), before);

    kafka.delete_topic("kept").unwrap();
    wait_until("the topic to go", SOON, || kafka.read_committed("kept").is_err()).unwrap();
    kafka.stop().unwrap();
    assert_eq!(kafka.pid(), None);
}

#[test]
fn committed_offsets_come_with_their_metadata() {
    let kafka = shared_kafka();
    kafka.create_topic("offsets", 1).unwrap();
    let folder = TempDir::new("records").unwrap();
    let file = folder.join("records");
    std::fs::write(&file, "a:1\nb:2\nc:3\n").unwrap();
    produce(&kafka.bootstrap(), "offsets", &file);
    let bootstrap = kafka.bootstrap();
    // A balanced consumer of kcat's commits when it ends after three records.
    let group = ["-G", "readers", "-X", "auto.offset.reset=earliest", "-c", "3", "offsets"];
    kcat(&[&["-q", "-b", &bootstrap], group.as_slice()].concat());
    let committed = kafka.committed("readers").unwrap();
    assert_eq!(committed.len(), 1);
    assert_eq!((committed[0].topic.as_str(), committed[0].offset), ("offsets", 3));
    assert!(kafka.committed("nobody").unwrap().is_empty());
    assert_eq!(kafka.end_offsets("offsets", 1).unwrap(), [3]);
    assert_eq!(kafka.group_offsets("readers", "offsets", 1).unwrap(), [3]);
    assert_eq!(kafka.group_offsets("nobody", "offsets", 1).unwrap(), [-1]);
    assert!(kafka.end_offsets("no-such-topic", 1).is_err());
}

#[test]
fn a_groups_members_and_what_they_own_are_seen() {
    let kafka = shared_kafka();
    kafka.create_topic("owned", 3).unwrap();
    let bootstrap = kafka.bootstrap();
    let member = ["-G", "owners", "-X", "group.instance.id=one", "-X", "client.id=me", "owned"];
    let _member = Launch::new("kcat").args(["-q", "-b", &bootstrap]).args(member).start().unwrap();
    wait_until("the member to own everything", SOON, || {
        kafka.members("owners").unwrap().iter().any(|member| member.owns.len() == 3)
    })
    .unwrap();
    let members = kafka.members("owners").unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].instance_id.as_deref(), Some("one"));
    assert_eq!(members[0].client_id, "me");
    assert!(members[0].owns.contains(&("owned".to_owned(), 2)));
    assert!(kafka.members("nobody").unwrap().is_empty());
}

#[test]
fn a_client_that_starts_at_the_proxy_stays_behind_it() {
    let options = KafkaOptions { proxied: true, ..KafkaOptions::default() };
    let kafka = Kafka::start_with(options).unwrap();
    kafka.create_topic("behind", 1).unwrap();
    let listing = kcat(&["-L", "-b", &kafka.proxied_bootstrap(), "-t", "behind"]);
    assert!(listing.contains(&kafka.proxied_bootstrap()), "{listing}");
    assert!(kafka.proxy().passed_bytes(Direction::ToClient) > 0);
    kafka.proxy().cut();
    let refused =
        Launch::new("kcat").args(["-L", "-m", "2", "-b", &kafka.proxied_bootstrap()]).run(SOON);
    assert!(refused.is_err());
    kafka.proxy().pass();
    kcat(&["-L", "-b", &kafka.proxied_bootstrap()]);
}

#[test]
fn redis_keeps_what_it_synced_over_a_kill() {
    let options = RedisOptions { appendfsync: "always".into(), ..RedisOptions::default() };
    let redis = Redis::start_with(options).unwrap();
    redis.command(&["HSET", "h", "field", "a b\r\nc"]).unwrap();
    let pid = redis.pid().unwrap();
    redis.kill();
    assert!(!is_alive(pid));
    redis.restart().unwrap();
    assert_eq!(redis.command(&["HLEN", "h"]).unwrap(), Reply::Integer(1));
    assert_eq!(redis.command(&["HGET", "h", "field"]).unwrap(), Reply::Bulk(b"a b\r\nc".to_vec()));
    redis.command(&["FLUSHALL"]).unwrap();
    assert_eq!(redis.command(&["HLEN", "h"]).unwrap(), Reply::Integer(0));
    assert!(redis.command(&["NONSENSE"]).unwrap_err().to_string().contains("unknown command"));
    let info = redis.command(&["INFO", "server"]).unwrap().text();
    assert!(info.contains("redis_version"));
}

#[test]
fn a_paused_redis_answers_nothing_and_then_goes_on() {
    let redis = Redis::start().unwrap();
    redis.pause().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    assert!(stream.read_exact(&mut answer).is_err());
    redis.resume().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_shared_redis_has_a_database_for_each_test() {
    let redis = shared_redis();
    let (one, two) = (redis.fresh_url(), redis.fresh_url());
    redis.command_at(&one, &["SET", "k", "v"]).unwrap();
    assert_eq!(redis.command_at(&one, &["GET", "k"]).unwrap().text(), "v");
    assert_eq!(redis.command_at(&two, &["GET", "k"]).unwrap(), Reply::Nil);
}

#[test]
fn postgres_keeps_what_it_committed_over_a_kill() {
    let postgres = Postgres::start().unwrap();
    postgres.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)").unwrap();
    assert_eq!(postgres.psql("SHOW fsync").unwrap(), "on");
    let pid = postgres.pid().unwrap();
    postgres.kill();
    assert!(!is_alive(pid));
    assert!(postgres.psql("SELECT 1").is_err());
    postgres.restart().unwrap();
    assert_eq!(postgres.psql("SELECT n, n + 1 FROM t ORDER BY n").unwrap(), "1|2\n2|3");
    postgres.stop().unwrap();
    assert_eq!(postgres.pid(), None);
    postgres.restart().unwrap();
    assert_eq!(postgres.psql("SELECT count(*) FROM t").unwrap(), "2");
    let refused = postgres.psql("SELECT nonsense").unwrap_err();
    assert!(refused.to_string().contains("does not exist"), "{refused}");
    let folder = postgres.log_path().parent().unwrap().to_owned();
    let pid = postgres.pid().unwrap();
    drop(postgres);
    assert!(!is_alive(pid));
    assert!(!folder.exists());
}

#[test]
fn a_shared_postgres_has_a_database_for_each_test() {
    let postgres = shared_postgres();
    let (one, two) = (postgres.fresh_url().unwrap(), postgres.fresh_url().unwrap());
    postgres.psql_at(&one, "CREATE TABLE t ()").unwrap();
    postgres.psql_at(&two, "CREATE TABLE t ()").unwrap();
}

#[test]
fn a_paused_postgres_answers_nothing_and_then_goes_on() {
    let postgres = Postgres::start().unwrap();
    postgres.pause().unwrap();
    let url = format!("{}?connect_timeout=2", postgres.url());
    assert!(postgres.psql_at(&url, "SELECT 1").is_err());
    postgres.resume().unwrap();
    assert_eq!(postgres.psql("SELECT 1").unwrap(), "1");
}

#[test]
fn a_dropped_service_leaves_nothing() {
    let redis = Redis::start().unwrap();
    let (pid, log, port) = (redis.pid().unwrap(), redis.log_path(), redis.port());
    let folder = log.parent().unwrap().to_owned();
    assert!(folder.exists());
    drop(redis);
    assert!(!is_alive(pid));
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// Run by the test below in a process of its own: starts services, names them, and hangs.
#[test]
#[ignore = "only useful as a process that another test kills"]
fn hang_with_services() {
    let redis = shared_redis();
    let folder = redis.log_path().parent().unwrap().display().to_string();
    // The thread that starts a process ends before the process does.
    let sleeper = std::thread::spawn(|| Launch::new("sleep").arg("600").start().unwrap());
    let sleeper = sleeper.join().unwrap();
    let postgres = shared_postgres();
    let pids = [redis.pid().unwrap(), sleeper.pid(), postgres.pid().unwrap()];
    println!("started {} {} {} {folder}", pids[0], pids[1], pids[2]);
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_killed_test_run_leaves_nothing() {
    let victim = Launch::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hang_with_services", "--nocapture"])
        .start()
        .unwrap();
    let line = victim.wait_for_line("started ", SOON).unwrap();
    let mut words = line.split_once("started ").unwrap().1.split(' ');
    let pids: Vec<u32> = words.by_ref().take(3).map(|word| word.parse().unwrap()).collect();
    let folder = Path::new(words.next().unwrap()).to_owned();
    assert!(pids.iter().all(|pid| is_alive(*pid)) && folder.exists());
    victim.signal(Signal::KILL).unwrap();
    victim.wait(SOON).unwrap();
    wait_until("its services to go", SOON, || !pids.iter().any(|pid| is_alive(*pid))).unwrap();
    wait_until("the folder to go", SOON, || !folder.exists()).unwrap();
}

#[test]
fn a_process_reports_its_output_and_end() {
    let process = Launch::new("sh")
        .args(["-c", "echo hello $WHO; trap 'exit 3' TERM; while :; do sleep 0.05; done"])
        .env("WHO", "there")
        .start()
        .unwrap();
    assert_eq!(process.wait_for_line("hello", SOON).unwrap(), "hello there");
    assert!(process.is_running());
    assert_eq!(process.terminate(SOON).unwrap().code(), Some(3));
    assert!(process.signal(Signal::TERM).is_err());
    let failed = Launch::new("sh").args(["-c", "echo why; exit 4"]).run(SOON).unwrap_err();
    assert!(failed.to_string().contains("exit status: 4:\nwhy"), "{failed}");
    let missing = Launch::new("no-such-program").start().unwrap_err();
    assert!(missing.to_string().contains("not on PATH"), "{missing}");
    let early = Launch::new("true").start().unwrap().wait_for_line("hello", SOON).unwrap_err();
    assert!(early.to_string().contains("before \"hello\""), "{early}");
}

#[test]
fn ports_are_given_once() {
    let mut ports: Vec<u16> = (0..200).map(|_| free_port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
    assert!(ports.iter().all(|port| *port < 32_768));
}

/// A service that answers each byte with its successor.
fn successor() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() {
                    stream.write_all(&[byte[0] + 1]).unwrap();
                }
            });
        }
    });
    port
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn exchange(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    stream.write_all(&[byte])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

#[test]
fn the_proxy_holds_one_direction_and_releases_it() {
    let proxy = Proxy::start(("127.0.0.1", successor())).unwrap();
    let mut stream = client(&proxy);
    assert_eq!(exchange(&mut stream, 1).unwrap(), 2);
    for (direction, other) in
        [(Direction::ToClient, Direction::ToService), (Direction::ToService, Direction::ToClient)]
    {
        let before = proxy.passed_bytes(other);
        proxy.hold(direction);
        stream.write_all(&[7]).unwrap();
        proxy.wait_held(direction, SOON).unwrap();
        // A held reply means that the request went through; a held request gives no reply.
        let through = u64::from(direction == Direction::ToClient);
        assert_eq!(proxy.passed_bytes(other) - before, through);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(stream.read_exact(&mut [0]).is_err());
        stream.set_read_timeout(Some(SOON)).unwrap();
        proxy.release(direction);
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [8]);
        assert_eq!(proxy.held_bytes(direction), 0);
    }
}

#[test]
fn the_proxy_cuts_swallows_delays_and_recovers() {
    let proxy = Proxy::start(("127.0.0.1", successor())).unwrap();
    let mut stream = client(&proxy);
    assert_eq!(exchange(&mut stream, 1).unwrap(), 2);
    proxy.cut();
    assert!(exchange(&mut stream, 1).is_err());
    assert!(exchange(&mut client(&proxy), 1).is_err());
    proxy.pass();
    let mut stream = client(&proxy);
    assert_eq!(exchange(&mut stream, 1).unwrap(), 2);

    proxy.black_hole();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(exchange(&mut stream, 1).is_err());
    proxy.pass();
    assert_eq!(proxy.connections(), 0, "a connection that lost bytes is cut");

    let mut stream = client(&proxy);
    assert_eq!(exchange(&mut stream, 1).unwrap(), 2);
    proxy.delay(Direction::ToClient, Duration::from_millis(200));
    let start = std::time::Instant::now();
    assert_eq!(exchange(&mut stream, 1).unwrap(), 2);
    assert!(start.elapsed() >= Duration::from_millis(200));
    proxy.vanish();
    assert!(exchange(&mut stream, 1).is_err());
    let refused = || TcpStream::connect(proxy.address()).is_err();
    wait_until("the port to close for a while", SOON, refused).unwrap();
    proxy.pass();
    wait_until("the port to open again", SOON, || !refused()).unwrap();
    let mut stream = client(&proxy);
    assert_eq!(exchange(&mut stream, 1).unwrap(), 2);
    drop(stream);
    wait_until("the connection to be forgotten", SOON, || proxy.connections() == 0).unwrap();
    let port = proxy.port();
    drop(proxy);
    wait_until("the port to close", SOON, || TcpStream::connect(("127.0.0.1", port)).is_err())
        .unwrap();
}
