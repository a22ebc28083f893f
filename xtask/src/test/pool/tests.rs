use super::*;

/// Programs that are lines of shell, in a folder of their own, and what was printed of them.
struct Bench {
    folder: PathBuf,
    out: Vec<u8>,
    totals: Totals,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("twotap-pool-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            out: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Runs these; the exit code.
    fn run(&mut self, limits: Limits, lines: &[&str]) -> u8 {
        let programs = lines.iter().map(|line| program(line)).collect();
        let folder = self.folder.clone();
        let start = |program: &Program| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &program.source]).current_dir(&folder);
            Ok(shell)
        };
        let mut pool = Pool::new(
            limits,
            &self.folder.join("said"),
            &mut self.out,
            &mut self.totals,
        )
        .unwrap();
        pool.side_by_side(programs, &start).unwrap();
        pool.end()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn program(line: &str) -> Program {
    let name = line.split(' ').next_back().unwrap_or_default();
    Program {
        name: name.to_owned(),
        source: line.to_owned(),
        chosen: format!("--test {name}"),
        folder: PathBuf::new(),
        file: PathBuf::new(),
    }
}

/// Two at a time, however busy the machine is.
const TWO: Limits = Limits {
    at_least: 2,
    at_most: 2,
    idle: 2.0,
    settles: Duration::ZERO,
    bound: Duration::from_secs(60),
};

#[test]
fn they_run_side_by_side_and_each_is_told_in_one_piece() {
    let mut bench = Bench::new("together");
    // Each goes on only when the other has come as far: a pipe opens when both ends do. One after the other, neither ends.
    let lines = [
        "mkfifo a b; echo one begins; : > a; read x < b; echo one ends; echo 'test result: ok. 3 passed; 0 failed; 1 ignored; x' # one",
        "while [ ! -p b ]; do sleep 0.01; done; echo two begins; read x < a; : > b; echo two ends >&2 # two",
        "echo three # three",
    ];
    assert_eq!(bench.run(TWO, &lines), 0, "{}", bench.said());
    let said = bench.said();
    for whole in [
        "one begins\none ends\n",
        "two begins\ntwo ends\n",
        "three\n",
    ] {
        assert!(said.contains(whole), "{said}");
    }
    assert_eq!(
        bench.totals.to_string(),
        "3 passed, 0 failed, 1 ignored in 1 test programs"
    );
}

#[test]
fn one_that_fails_stops_no_other_and_is_named_at_the_end() {
    let mut bench = Bench::new("failing");
    let lines = [
        "true # well",
        "exit 7 # worse",
        "kill -9 $$ # killed",
        "echo last # last",
    ];
    let one = Limits {
        at_least: 1,
        at_most: 1,
        ..TWO
    };
    assert_eq!(bench.run(one, &lines), 7);
    let said = bench.said();
    let end = said.split("test programs: ").nth(1).unwrap();
    for name in ["worse", "killed"] {
        let again = format!("to run it alone: cargo xtask test --test {name}\n");
        assert!(end.contains(&again), "{said}");
    }
    assert!(end.contains("signal: 9"), "{said}");
    assert_eq!(end.matches("error: ").count(), 2, "{said}");
    assert!(said.contains("last\n"), "{said}");
}

#[test]
fn one_that_never_ends_is_ended_with_all_that_it_started() {
    let mut bench = Bench::new("endless");
    let line = "(trap '' TERM; sleep 600 & echo $! > deeper; wait) & echo $! > deep; echo so far; wait # endless";
    // The bound is that of both, and the machine does other things.
    let short = Limits {
        bound: Duration::from_secs(10),
        ..TWO
    };
    assert_eq!(bench.run(short, &[line, "echo beside # beside"]), 1);
    let said = bench.said();
    assert!(
        said.contains("so far\n") && said.contains("beside\n"),
        "{said}"
    );
    assert!(said.contains("# endless had not ended after 1"), "{said}");
    for file in ["deep", "deeper"] {
        let pid = fs::read_to_string(bench.folder.join(file)).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        // Ended: gone, or not yet waited for by whoever has taken it over.
        let ended = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        let begun = Instant::now();
        while !ended() && begun.elapsed() < TWO.bound {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert!(ended(), "{file} {pid}");
    }
}

#[test]
fn more_run_only_while_the_processors_have_nothing_to_do() {
    let limits = |idle| Limits {
        at_least: 1,
        at_most: 3,
        idle,
        ..TWO
    };
    // More than all of the processors is never left: whoever meets another says so.
    let mut bench = Bench::new("busy");
    let lines =
        ["1", "2", "3"].map(|name| format!("mkdir here && sleep 0.1 && rmdir here # {name}"));
    let busy = bench.run(limits(2.0), &lines.each_ref().map(String::as_str));
    assert_eq!(busy, 0, "{}", bench.said());
    // Nothing at all always is: each waits for the next one, and the last for the first.
    let mut bench = Bench::new("idle");
    let lines = [
        "mkfifo a b c; : > a; read x < c; true # first",
        "while [ ! -p c ]; do sleep 0.01; done; read x < a; : > b # second",
        "while [ ! -p c ]; do sleep 0.01; done; read x < b; : > c # third",
    ];
    assert_eq!(bench.run(limits(0.0), &lines), 0, "{}", bench.said());
}

#[test]
fn the_longest_begin_first_and_some_run_alone() {
    let named = |name: &str| program(&format!("tests/{name}.rs # {name}"));
    let programs = ["zones", "alerts", "accounts", "agent_flow", "kill_matrix"].map(named);
    let order = Order::of(programs.to_vec());
    let names =
        |programs: &[Program]| -> Vec<String> { programs.iter().map(|p| p.name.clone()).collect() };
    assert_eq!(
        names(&order.together),
        ["kill_matrix", "accounts", "agent_flow", "zones"]
    );
    assert_eq!(names(&order.alone), ["alerts"]);
}

#[test]
fn what_is_named_here_is_a_test_program() {
    let tests = crate::setup::workspace().join("tests");
    for name in LONGEST.iter().chain(&ALONE) {
        let file = tests.join(format!("{name}.rs"));
        assert!(file.is_file(), "there is no {}", file.display());
    }
}

#[test]
fn a_machine_runs_no_more_than_it_can_serve() {
    let at_most = |processors| Limits::usual(processors).at_most;
    assert_eq!([1, 2, 3, 4, 64].map(at_most), [2, 4, 6, 8, 8]);
}
