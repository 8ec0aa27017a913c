/*
 * The life of an action in one Gavel process: append, epoch, commit, dispatch, halt, outcome.
 *
 *   agent, person ─► loop ─► log ─► disk          loop ─► server (the tool)
 *                      ▲              │
 *                      └── durable ───┘           fate: the process dies, and starts again
 *
 * Every process below is one actor; every option of its loop is one step, and a step is what the
 * code does between two suspensions. docs/model.md maps each step to the code. check.py runs it.
 *
 * The log is kept as its fold: `d` is the fold of what is durable, `q` holds what was sequenced
 * after it, `v` is the process's own fold of both. A crash leaves `d`.
 *
 * Each switch breaks one rule; check.py defines them one by one and expects an invariant to break.
 */

#define N 2 /* intents: 0 is asked by the driver of epoch 1, 1 by the driver of epoch 2 */
#define ATTEMPTS_MAX 2
#define QUEUE_MAX 8
#ifndef CRASHES
#define CRASHES 2
#endif

/* Phases of an intent: core/state.hpp. Commit and first attempt are one batch, so that `committed`
 * is never seen without an attempt. */
#define NONE 0
#define HELD 1
#define IN_FLIGHT 2
#define UNKNOWN 3
#define OK 4
#define FAILED 5
#define ABORTED 6

/* What the tool is. */
#define PLAIN 0 /* not idempotent, no probe */
#define IDEMPOTENT 1
#define PROBED 2 /* not idempotent, with a probe */

/* Batches of entries, each appended as one. */
#define E_ELECT 1
#define E_HALT 2
#define E_HOLD 3    /* intent, vote, held */
#define E_ABORT 4   /* intent, vote, decision: abort */
#define E_COMMIT 5  /* (intent, vote | a person's vote), decision: commit, attempt 1 */
#define E_ATTEMPT 6 /* a retry */
#define E_OK 7
#define E_FAILED 8
#define E_UNKNOWN 9

/* What the executor does for an intent. */
#define IDLE 0
#define CHECK 1  /* only where the halts are looked at before the upstream's queue */
#define QUEUED 2 /* in the upstream's queue, or its server is starting */
#define SENT 3
#define GOT_OK 4
#define GOT_FAILED 5
#define GOT_UNKNOWN 6
#define RETRY 7
#define PROBING 8

typedef Fold {
  byte epoch = 1;
  bit halted;
  byte phase[N];
  byte attempts[N];
};

Fold d;             /* of what is durable */
Fold v;             /* in memory: of everything sequenced */
byte q_kind[QUEUE_MAX]; /* sequenced; the first q_durable of them are durable, and not yet told */
byte q_of[QUEUE_MAX];
byte q_length;
byte q_durable;

byte crashes;
byte task[N];
byte reply[N]; /* of the server to the attempt that waits */
#ifdef REFUSED_APPEND_FORGETS
bit lags; /* memory was loaded from what is durable while more was sequenced */
bit refused_once;
#endif

byte tool[N];
bit was_held[N];
bit gone[N]; /* the driver was refused as stale, and stopped */

/* The world outside. */
byte pending[N]; /* requests that the server has and did not answer */
byte effects[N];
byte sent[N];

/* What people and agents were told. */
byte told_epoch = 1;
bit told_halt;
byte told[N];

#define EPOCH_OF(i) (i + 1)
#define IS_OPEN(p) (p == IN_FLIGHT || p == UNKNOWN)
#define MAY_RETRY(i) (tool[i] == IDEMPOTENT && v.attempts[i] < ATTEMPTS_MAX)
#ifdef REFUSED_APPEND_FORGETS
#define WRITABLE (!lags)
#else
#define WRITABLE (true)
#endif

inline fold(f, kind, i) {
  if
  :: kind == E_ELECT -> f.epoch++
  :: kind == E_HALT -> f.halted = 1
  :: kind == E_HOLD -> f.phase[i] = HELD
  :: kind == E_ABORT -> f.phase[i] = ABORTED
  :: kind == E_COMMIT -> f.phase[i] = IN_FLIGHT; f.attempts[i] = 1
  :: kind == E_ATTEMPT -> f.phase[i] = IN_FLIGHT; f.attempts[i]++
  :: kind == E_OK -> f.phase[i] = OK
  :: kind == E_FAILED -> f.phase[i] = FAILED
  :: kind == E_UNKNOWN -> f.phase[i] = UNKNOWN
  fi
}

inline tell(kind, i) {
  if
  :: kind == E_ELECT -> told_epoch = 2
  :: kind == E_HALT -> told_halt = 1
  :: kind == E_HOLD -> told[i] = HELD
  :: kind == E_ABORT -> told[i] = ABORTED
  :: kind == E_OK -> told[i] = OK
  :: kind == E_FAILED -> told[i] = FAILED
  :: else
  fi
}

inline start_attempt(i) {
  if
  :: v.phase[i] == IN_FLIGHT && task[i] == IDLE ->
#ifdef CHECK_BEFORE_QUEUE
    task[i] = CHECK
#else
    task[i] = QUEUED
#endif
  :: else
  fi
}

/* Sequenced at once, and folded: decide and append are one step, because nothing suspends between
 * them. What fold would skip is an error here: the code asserts that its own plans apply. */
inline append(kind, i) {
  assert(q_length < QUEUE_MAX);
  if
  :: kind == E_COMMIT || kind == E_ABORT ->
    assert(v.phase[i] == NONE || v.phase[i] == HELD); /* I2: one decision per intent */
  :: kind == E_OK ->
    assert(IS_OPEN(v.phase[i]) && sent[i] > 0); /* OUTCOME: ok only of a dispatched intent */
    assert(effects[i] == 1); /* TRUTH: what is recorded as ok happened */
  :: kind == E_FAILED ->
    assert(IS_OPEN(v.phase[i])); /* OUTCOME: only of an attempt on record */
    assert(effects[i] == 0 && pending[i] == 0); /* TRUTH: what is recorded failed never happens */
  :: kind == E_UNKNOWN ->
    assert(v.phase[i] == IN_FLIGHT); /* OUTCOME: only of an attempt on record */
  :: else
  fi;
  if
  :: kind == E_COMMIT || kind == E_ATTEMPT ->
    assert(!v.halted); /* I6: nothing commits after a halt's position */
  :: else
  fi;
  q_kind[q_length] = kind;
  q_of[q_length] = i;
  q_length++;
  fold(v, kind, i);
#ifdef ACK_BEFORE_SYNC
  tell(kind, i);
#endif
#ifdef COMMIT_BEFORE_SYNC
  if
  :: kind == E_COMMIT || kind == E_ATTEMPT -> start_attempt(i)
  :: else
  fi;
#endif
}

/* ------------------------------------------------------------------------- agents and people */

#ifdef IGNORE_EPOCH
#define MAY_PROPOSE(i) (true)
#else
#define MAY_PROPOSE(i) (v.epoch == EPOCH_OF(i))
#endif

/* A call; asked again with the same key for as long as the log has nothing of it. */
active [N] proctype agent() {
  byte i = _pid;
end:
  do
  :: atomic {
      WRITABLE && v.phase[i] == NONE && !gone[i] && told_epoch >= EPOCH_OF(i) ->
      if
      :: tool[i] = PLAIN
      :: i == 0 -> tool[i] = IDEMPOTENT
      :: i == 0 -> tool[i] = PROBED
      fi;
      if
      :: !MAY_PROPOSE(i) ->
        gone[i] = 1;
        tool[i] = 0;
        printf("agent %d: refused, its epoch is over\n", i)
      :: MAY_PROPOSE(i) && !v.halted ->
        if
        :: was_held[i] = 0;
          append(E_COMMIT, i);
          printf("agent %d: calls a tool of kind %d: committed with attempt 1\n", i, tool[i])
        :: was_held[i] = 1;
          append(E_HOLD, i);
          printf("agent %d: calls a tool of kind %d: held\n", i, tool[i])
        fi
      :: MAY_PROPOSE(i) && v.halted ->
        append(E_ABORT, i);
        printf("agent %d: calls a tool: aborted, a halt is in force\n", i)
      fi
    }
  od
}

active proctype person() {
  byte i;
end:
  do
  :: atomic {
      WRITABLE && v.epoch == 1 -> append(E_ELECT, 0); printf("person: wakes the session\n")
    }
  :: atomic { WRITABLE && !v.halted -> append(E_HALT, 0); printf("person: halts\n") }
  :: atomic {
      WRITABLE && (v.phase[0] == HELD || v.phase[1] == HELD) && !v.halted ->
      if
      :: v.phase[0] == HELD -> i = 0
      :: v.phase[1] == HELD -> i = 1
      fi;
      if
      :: append(E_COMMIT, i); printf("person: approves %d: committed with attempt 1\n", i)
      :: append(E_ABORT, i); printf("person: denies %d\n", i)
      fi;
      i = 0
    }
#ifdef SECOND_DECISION
  :: atomic {
      WRITABLE && v.phase[0] == IN_FLIGHT && was_held[0] && !v.halted ->
      append(E_COMMIT, 0); printf("person: approves 0 once more\n")
    }
#endif
  /* A person looks at the tool before they say what became of a lost call. */
  :: atomic {
      WRITABLE && (v.phase[0] == UNKNOWN && pending[0] == 0 ||
                   v.phase[1] == UNKNOWN && pending[1] == 0) ->
      if
      :: v.phase[0] == UNKNOWN && pending[0] == 0 -> i = 0
      :: v.phase[1] == UNKNOWN && pending[1] == 0 -> i = 1
      fi;
      if
      :: effects[i] > 0 -> append(E_OK, i); printf("person: %d happened\n", i)
      :: else -> append(E_FAILED, i); printf("person: %d did not happen\n", i)
      fi;
      i = 0
    }
  od
}

/* ----------------------------------------------------------------------------------- the disk */

/* A sync of a group is a row of these: nobody sees anything between them. */
active proctype disk() {
end:
  do
  :: atomic {
      q_durable < q_length ->
      fold(d, q_kind[q_durable], q_of[q_durable]);
      printf("disk: entry %d of %d is durable\n", q_kind[q_durable], q_of[q_durable]);
      q_durable++
    }
  od
}

/* ----------------------------------------------------------------------------------- the loop */

#ifdef IGNORE_EPOCH
#define EPOCH_ALLOWS(i) (true)
#else
/* A call that a person released may outlive the driver that asked for it, and a retry finds out what
 * became of what went out before. */
#define EPOCH_ALLOWS(i) (was_held[i] || v.attempts[i] > 1 || v.epoch <= EPOCH_OF(i))
#endif

#ifdef DISPATCH_WITHOUT_RECHECK
#define STILL_ALLOWED(i) (true)
#else
#define STILL_ALLOWED(i) (IS_OPEN(v.phase[i]) && EPOCH_ALLOWS(i) && !v.halted)
#endif

/* Certainly not sent now. Of an earlier attempt that says nothing. */
inline not_dispatched(i) {
  task[i] = (v.attempts[i] <= 1 -> GOT_FAILED : GOT_UNKNOWN)
}

inline not_allowed(i) {
#ifdef STOPPED_RETRY_IS_FAILED
  task[i] = GOT_FAILED;
#else
  not_dispatched(i);
#endif
  printf("loop: %d may not go any more\n", i)
}

inline not_sent(i) {
#ifdef UNSENT_RETRY_IS_FAILED
  task[i] = GOT_FAILED;
#else
  not_dispatched(i);
#endif
  printf("loop: %d cannot be sent\n", i)
}

inline send(i) {
  assert(d.phase[i] == IN_FLIGHT); /* I1: no dispatch without a durable commit and attempt */
  assert(was_held[i] || v.attempts[i] > 1 ||
         told_epoch <= EPOCH_OF(i)); /* I3: no dispatch of a stale epoch */
  assert(!told_halt); /* I6: no dispatch after an acknowledged halt */
#ifndef ACKNOWLEDGED_ONLY
  assert(!v.halted); /* I6: no dispatch after a halt's position */
#endif
  assert(sent[i] == 0 || tool[i] == IDEMPOTENT); /* I4: what may have happened is not repeated */
  sent[i]++;
  pending[i]++;
  reply[i] = NONE;
  task[i] = SENT;
  printf("loop: %d is sent\n", i)
}

inline after_unknown(i) {
  if
  :: v.phase[i] != UNKNOWN || task[i] != IDLE
#ifdef RETRY_AFTER_UNKNOWN
  :: v.phase[i] == UNKNOWN && task[i] == IDLE && v.attempts[i] < ATTEMPTS_MAX -> task[i] = RETRY
  :: v.phase[i] == UNKNOWN && task[i] == IDLE && v.attempts[i] >= ATTEMPTS_MAX
#else
  :: v.phase[i] == UNKNOWN && task[i] == IDLE ->
    if
    :: MAY_RETRY(i) -> task[i] = RETRY
    :: tool[i] == PROBED -> task[i] = PROBING
    :: else /* people */
    fi
#endif
  fi
}

active proctype loop() {
  byte i;
  byte kind;
end:
  do
  /* What became durable is told, and what it asks for is done, in order. */
  :: atomic {
      q_durable > 0 ->
      kind = q_kind[0];
      i = q_of[0];
      d_step {
        byte j = 1;
        do
        :: j < q_length -> q_kind[j - 1] = q_kind[j]; q_of[j - 1] = q_of[j]; j++
        :: else -> break
        od;
        q_length--;
        q_durable--;
        q_kind[q_length] = 0;
        q_of[q_length] = 0;
        j = 0
      };
      tell(kind, i);
      printf("loop: entry %d of %d is told\n", kind, i);
      if
      :: kind == E_COMMIT || kind == E_ATTEMPT -> start_attempt(i)
      :: kind == E_UNKNOWN -> after_unknown(i)
      :: else
      fi;
      kind = 0;
      i = 0
    }
#ifdef REFUSED_APPEND_FORGETS
  /* An append met a reload: it works again once everything that was sequenced is durable. */
  :: atomic {
      lags && q_durable == q_length ->
      lags = 0;
      d_step { v.epoch = d.epoch; v.halted = d.halted; v.phase[0] = d.phase[0];
               v.phase[1] = d.phase[1]; v.attempts[0] = d.attempts[0];
               v.attempts[1] = d.attempts[1] }
    }
#endif
  od
}

/* One executor for each intent: at most one attempt, probe or retry of it runs. */
active [N] proctype executor() {
  byte i = _pid - (N + 3);
end:
  do
#ifdef CHECK_BEFORE_QUEUE
  :: atomic {
      task[i] == CHECK ->
      if
      :: STILL_ALLOWED(i) -> task[i] = QUEUED; printf("loop: %d may go, and is queued\n", i)
      :: else -> not_allowed(i)
      fi
    }
  :: atomic { task[i] == QUEUED -> send(i) }
#else
  :: atomic {
      task[i] == QUEUED ->
      if
      :: STILL_ALLOWED(i) -> send(i)
      :: else -> not_allowed(i)
      fi
    }
#endif
  /* Busy, no connection, the server does not start. */
  :: atomic { task[i] == QUEUED -> not_sent(i) }
  :: atomic {
      task[i] == SENT && reply[i] != NONE ->
      task[i] = (reply[i] == OK -> GOT_OK : GOT_FAILED);
      printf("loop: %d is answered\n", i)
    }
  /* A deadline, a broken stream, a dead server: perhaps it acted. */
  :: atomic { task[i] == SENT -> task[i] = GOT_UNKNOWN; printf("loop: %d is lost\n", i) }
  :: atomic {
      WRITABLE && task[i] >= GOT_OK && task[i] <= GOT_UNKNOWN ->
      if
      :: v.phase[i] == IN_FLIGHT && task[i] == GOT_OK -> append(E_OK, i)
      :: v.phase[i] == IN_FLIGHT && task[i] == GOT_FAILED -> append(E_FAILED, i)
      :: v.phase[i] == IN_FLIGHT && task[i] == GOT_UNKNOWN -> append(E_UNKNOWN, i)
      :: else
      fi;
      printf("loop: the outcome of %d is appended\n", i);
      task[i] = IDLE;
      reply[i] = NONE
    }
#ifdef REFUSED_APPEND_FORGETS
  /* The engine is busy: the session is loaded anew from what is durable, the outcome is dropped. */
  :: atomic {
      !refused_once && task[i] >= GOT_OK && task[i] <= GOT_UNKNOWN ->
      refused_once = 1;
      printf("loop: the engine is busy, the outcome of %d is dropped\n", i);
      task[i] = IDLE;
      reply[i] = NONE;
      lags = (q_durable < q_length);
      d_step { v.epoch = d.epoch; v.halted = d.halted; v.phase[0] = d.phase[0];
               v.phase[1] = d.phase[1]; v.attempts[0] = d.attempts[0];
               v.attempts[1] = d.attempts[1] }
    }
#endif
  :: atomic {
      WRITABLE && task[i] == RETRY ->
      task[i] = IDLE;
      if
      :: v.phase[i] == UNKNOWN && !v.halted ->
        append(E_ATTEMPT, i);
        printf("loop: attempt %d of %d\n", v.attempts[i], i)
      :: else -> printf("loop: %d is not tried again\n", i)
      fi
    }
  /* The probe outlasts the lost call: executor.hpp, kAbsentSightings. */
  :: atomic {
#ifdef PROBE_TOO_EARLY
      WRITABLE && task[i] == PROBING ->
#else
      WRITABLE && task[i] == PROBING && pending[i] == 0 ->
#endif
      task[i] = IDLE;
      if
      :: v.phase[i] != UNKNOWN
      :: v.phase[i] == UNKNOWN && effects[i] > 0 ->
        append(E_OK, i); printf("loop: the probe of %d says: happened\n", i)
      :: v.phase[i] == UNKNOWN && effects[i] == 0 ->
        append(E_FAILED, i); printf("loop: the probe of %d says: absent\n", i)
      :: v.phase[i] == UNKNOWN -> printf("loop: the probe of %d says nothing\n", i)
      fi
    }
  od
}

/* ------------------------------------------------------------------------------------ the tool */

/* It acts or refuses, whether or not somebody still waits. One that declares itself idempotent acts
 * once per key, and answers one key's requests in order. */
active [N] proctype server() {
  byte i = _pid - (N + 3 + N);
  byte answer;
end:
  do
  :: atomic {
      pending[i] > 0 ->
      pending[i]--;
      if
#ifdef KEY_PER_ATTEMPT
      :: true ->
#else
      :: effects[i] == 0 || tool[i] != IDEMPOTENT ->
#endif
        effects[i]++;
        assert(effects[i] <= 1); /* I4: at most one effect per intent */
        assert(d.phase[i] != FAILED); /* TRUTH: what is recorded failed never happens */
        assert(d.phase[i] >= IN_FLIGHT && d.phase[i] != ABORTED); /* I1: no effect without commit */
        answer = OK;
        printf("server: acts for %d\n", i)
      :: effects[i] > 0 && tool[i] == IDEMPOTENT ->
        answer = OK;
        printf("server: knows the key of %d\n", i)
      :: effects[i] == 0 -> answer = FAILED; printf("server: refuses %d\n", i)
      fi;
      if
      :: task[i] == SENT && pending[i] == 0 -> reply[i] = answer
      :: else
      fi;
      answer = 0
    }
  od
}

/* ------------------------------------------------------------------------------------- crashes */

inline recover(i) {
  if
#ifdef FORGET_IN_FLIGHT
  :: v.phase[i] == IN_FLIGHT -> start_attempt(i)
#endif
#ifdef FAIL_ON_CRASH
  :: v.phase[i] == IN_FLIGHT -> append(E_FAILED, i)
#endif
#ifdef NO_RECOVERY
  :: v.phase[i] == IN_FLIGHT
#endif
#if !defined(FORGET_IN_FLIGHT) && !defined(FAIL_ON_CRASH) && !defined(NO_RECOVERY)
  :: v.phase[i] == IN_FLIGHT -> append(E_UNKNOWN, i)
#endif
  :: v.phase[i] == UNKNOWN -> after_unknown(i)
  :: else
  fi
}

/* Death and the next start are one step: what the server does in between, it may as well do after,
 * and nobody else does anything. */
active proctype fate() {
end:
  do
  :: atomic {
      crashes < CRASHES ->
      crashes++;
      printf("fate: the process dies, %d entries are lost; another folds the log\n",
             q_length - q_durable);
      d_step {
        byte j = 0;
        do
        :: j < q_length -> q_kind[j] = 0; q_of[j] = 0; j++
        :: else -> break
        od;
        j = 0;
        q_length = 0;
        q_durable = 0;
        task[0] = IDLE; task[1] = IDLE;
        reply[0] = NONE; reply[1] = NONE;
#ifdef REFUSED_APPEND_FORGETS
        lags = 0;
#endif
        v.epoch = d.epoch; v.halted = d.halted;
        v.phase[0] = d.phase[0]; v.phase[1] = d.phase[1];
        v.attempts[0] = d.attempts[0]; v.attempts[1] = d.attempts[1]
      };
      assert(d.epoch >= told_epoch); /* I5: an acknowledged election survives a crash */
      assert(d.halted || !told_halt); /* I5: an acknowledged halt survives a crash */
      assert(told[0] <= HELD || d.phase[0] == told[0]); /* I5: an answer survives a crash */
      assert(told[1] <= HELD || d.phase[1] == told[1]); /* I5: an answer survives a crash */
      assert(told[0] != HELD || d.phase[0] >= HELD); /* I5: a hold survives a crash */
      assert(told[1] != HELD || d.phase[1] >= HELD); /* I5: a hold survives a crash */
      recover(0);
      recover(1)
    }
  od
}

/* Runs when nobody else can do anything. There is no cycle (check.py proves it), so that every run
 * comes here: each intent that was committed has its outcome. */
active proctype at_rest() {
end:
  do
  :: timeout ->
    assert(q_length == 0); /* END: everything sequenced is durable and told */
    assert(!IS_OPEN(d.phase[0])); /* END: every committed intent ends in an outcome */
    assert(!IS_OPEN(d.phase[1])); /* END: every committed intent ends in an outcome */
    break
  od
}
