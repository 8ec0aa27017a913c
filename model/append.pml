/*
 * Compare-and-append, with two processes on one engine. Each holds a fold of some prefix of the
 * log, decides on it, and appends; the other may have moved the log meanwhile. What is refused is
 * loaded anew, from what is durable, and decided again.
 *
 *   process 0 ─┐ decide on its own fold, append     ┌─► sequenced ── sync ──► durable
 *   process 1 ─┴────────────────────────────────────┘ compares tail, epoch, barrier
 *
 * Only the log's promises are here; protocol.pml has what follows from them in one process.
 */

#define NONE 0
#define HELD 1
#define COMMITTED 2
#define ABORTED 3

#define TAIL_MAX 6
#define EPOCH_MAX 3

/* A session's log and one control log, as their folds. */
typedef Fold {
  byte tail;
  byte epoch = 1;
  byte phase; /* of one intent */
  byte control_tail;
  byte barrier;
  bit halted;
};

Fold t;    /* of what is sequenced */
Fold d;    /* of what is durable */
Fold v[2]; /* what each process has folded */

/* For the invariants: what stands in the log. */
byte decisions;
byte elections_of[EPOCH_MAX + 1];

inline copy(to, from) {
  d_step {
    to.tail = from.tail; to.epoch = from.epoch; to.phase = from.phase;
    to.control_tail = from.control_tail; to.barrier = from.barrier; to.halted = from.halted
  }
}

/* log/admission.cpp, in its order: epoch, tail, guard. */
#ifdef NO_EPOCH_COMPARED
#define EPOCH_FITS(elects) (true)
#else
#define EPOCH_FITS(elects) (epoch == t.epoch + elects)
#endif
#ifdef NO_TAIL_COMPARED
#define TAIL_FITS(p) (true)
#else
#define TAIL_FITS(p) (v[p].tail == t.tail)
#endif
#ifdef NO_GUARD
#define GUARD_FITS(p) (true)
#else
#define GUARD_FITS(p) (v[p].barrier == t.barrier)
#endif

inline refused(p) {
  copy(v[p], d);
  printf("process %d: refused, reads anew up to %d\n", p, d.tail)
}

active [2] proctype process() {
  byte p = _pid;
  byte epoch;
end:
  do
  /* wake */
  :: atomic {
      t.tail < TAIL_MAX && v[p].epoch < EPOCH_MAX ->
      epoch = v[p].epoch + 1;
      if
      :: EPOCH_FITS(1) && TAIL_FITS(p) ->
        v[p].epoch = epoch;
        v[p].tail++;
        t.tail++;
        t.epoch = epoch;
        elections_of[epoch]++;
        assert(elections_of[epoch] == 1); /* I3: one driver per epoch */
        printf("process %d: elects epoch %d at %d\n", p, epoch, t.tail)
      :: else -> refused(p)
      fi;
      epoch = 0
    }
  /* a proposal that is held, or settled at once; a vote on one that is held */
  :: atomic {
      t.tail < TAIL_MAX && v[p].phase <= HELD ->
      epoch = v[p].epoch;
      if
      :: v[p].phase == NONE ->
        if
        :: EPOCH_FITS(0) && TAIL_FITS(p) ->
            v[p].tail++;
          t.tail++;
          v[p].phase = HELD;
          t.phase = HELD;
          printf("process %d: holds the intent at %d\n", p, t.tail)
        :: else -> refused(p)
        fi
      :: !v[p].halted ->
        if
        :: EPOCH_FITS(0) && TAIL_FITS(p) && GUARD_FITS(p) ->
          assert(epoch == t.epoch); /* I3: nothing of a stale epoch is appended */
          assert(!t.halted); /* I6: nothing commits after a halt's position */
          decisions++;
          assert(decisions == 1); /* I2: one decision per intent */
          v[p].tail++;
          t.tail++;
          v[p].phase = COMMITTED;
          t.phase = COMMITTED;
          printf("process %d: commits the intent at %d\n", p, t.tail)
        :: else -> refused(p)
        fi
      :: v[p].phase == HELD ->
        if
        :: EPOCH_FITS(0) && TAIL_FITS(p) ->
          assert(epoch == t.epoch); /* I3: nothing of a stale epoch is appended */
          decisions++;
          assert(decisions == 1); /* I2: one decision per intent */
          v[p].tail++;
          t.tail++;
          v[p].phase = ABORTED;
          t.phase = ABORTED;
          printf("process %d: aborts the intent at %d\n", p, t.tail)
        :: else -> refused(p)
        fi
      fi;
      epoch = 0
    }
  /* halt: a control log has a tail and a barrier of its own, and no epoch */
  :: atomic {
      !v[p].halted ->
      if
      :: v[p].control_tail != t.control_tail -> refused(p)
      :: else ->
        v[p].control_tail++; v[p].barrier++; v[p].halted = 1;
        t.control_tail++; t.barrier++; t.halted = 1;
        printf("process %d: halts\n", p)
      fi
    }
  od
}

active proctype disk() {
end:
  do
  :: atomic { d.tail != t.tail || d.control_tail != t.control_tail -> copy(d, t) }
  od
}
