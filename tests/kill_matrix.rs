//! The kill matrix.

mod support;

#[path = "kill_matrix/cases.rs"]
mod cases;
#[path = "kill_matrix/flow.rs"]
mod flow;
#[path = "kill_matrix/host.rs"]
mod host;
#[path = "kill_matrix/points.rs"]
mod points;
#[path = "kill_matrix/truth.rs"]
mod truth;
#[path = "kill_matrix/wait.rs"]
mod wait;

use cases::*;
use points::Victim;
use std::time::Instant;

#[test]
fn learn() {
    let t = Instant::now();
    let host = host::Host::new();
    eprintln!("host {:?}", t.elapsed());
    host.arm(&[]);
    let sealed = flow::seal(&host, host.world.first_key_json());
    eprintln!("seal {:?} {:?}", t.elapsed(), sealed.map(|s| s.generation));
    wait::until("no workers", || host.workers().is_empty());
    host.arm(&[]);
    let view = flow::ceremony(&host).expect("view");
    let view = flow::close(&host, &view.id).expect("view");
    std::thread::sleep(std::time::Duration::from_millis(1000));
    let reached = host.reached();
    let mut bad = 0;
    for p in reached.iter().step_by(8) {
        let t = Instant::now();
        let case = Case {
            flow: Flow::Ceremony,
            victim: Victim::Worker,
            points: vec![p.clone()],
        };
        let end = case.run(&host);
        eprintln!("{case}: {end:?} {:?}", t.elapsed());
        if matches!(end, End::Badly(_)) {
            bad += 1;
            if bad > 2 {
                eprintln!("{}", host.log());
                break;
            }
        }
    }
}
