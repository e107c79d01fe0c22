#!/bin/sh
# Writes down which Slurm job runs on this node, for gputally's agent. Slurm runs it as root, both as a prolog and as
# an epilog: see README.md beside it. One file a run, <job id>-r<restarts>, only ever replaced as a whole.
#
# A prolog that fails drains the node. So this one succeeds, whatever happens; it waits for nothing but the one
# question to the controller that a site may switch on, and for that no more than 3 seconds.
LC_ALL=C # bytes are bytes: job names need not be valid in any encoding
PATH=/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH} # slurmd gives its scripts no PATH
export LC_ALL PATH
umask 022

# Of closed records: those of a day, and no more than this, because the agent holds them all.
keep_seconds=86400
keep_files=500

settings() { # not sourced: an error in the file would end this script
  folder=/run/gputally/slurm
  squeue=
  devices=
  file=${GPUTALLY_SLURM_CONFIG:-/etc/gputally/slurm.env}
  [ -r "$file" ] || return 0
  while IFS='=' read -r key value || [ -n "$key" ]; do
    case $key in
      FOLDER) folder=$value ;;
      SQUEUE) squeue=$value ;;
      DEVICES) devices=$value ;;
    esac
  done <"$file"
}

is_number() {
  case $1 in
    '' | *[!0-9]* | ??????????????*) return 1 ;;
  esac
}

field() { # field KEY VALUE: one line, whatever is in the value; none for nothing
  value=$2
  case $value in
    *[[:cntrl:]]*) value=$(printf '%s' "$value" | tr '[:cntrl:]' _) ;;
  esac
  [ -z "$value" ] || printf '%s=%.400s\n' "$1" "$value"
}

model_in_comment() { # sbatch --comment="model=llama-70b, whatever": nothing else of it is kept
  comment=$(printf '%s' "${SLURM_JOB_COMMENT:-}" | tr '[:cntrl:],;' ' ')
  set -f
  for word in $comment; do
    case $word in
      model=*) printf '%s' "${word#model=}" && break ;;
    esac
  done
}

gpus() { # Slurm counts the GPUs that it manages from 0, in the order of gres.conf; devices have numbers of their own
  if [ "$devices" = none ]; then return 0; fi # with MIG, the places in Slurm's list are those of instances
  if [ -z "$devices" ]; then
    printf '%s' "${SLURM_JOB_GPUS:-}"
    return 0
  fi
  set -f
  IFS=,
  minors=
  for index in ${SLURM_JOB_GPUS:-}; do
    # shellcheck disable=SC2086 # a list
    set -- $devices
    if is_number "$index" && [ "$index" -lt $# ]; then
      shift "$index"
      minors=$minors${minors:+,}$1
    fi
  done
  printf '%s' "$minors"
}

answer() { # answer OPTION: what the controller says about this job; nothing when it is slow or gone
  [ -n "$squeue" ] || return 0
  timeout -k 1 2 "$squeue" --noheader --all --states=all --jobs="$SLURM_JOB_ID" "$1" || :
}

ask_name() { # Slurm tells its prolog neither the job's name nor of which array it is one
  while read -r id array task name; do
    [ "$id" = "$SLURM_JOB_ID" ] || continue # asked for one of an array, squeue may list all of it
    job_name=$name
    if is_number "$task"; then
      array_job_id=$array array_task_id=$task
    fi
    return 0
  done <<END
$(answer '--format=%A %F %K %j')
END
}

replace() { # replace RECORD MODE: by what comes in
  cat >"$temporary" && chmod "$2" "$temporary" && mv -f "$temporary" "$1"
}

begin() {
  job_name=${SLURM_JOB_NAME:-} array_job_id=${SLURM_ARRAY_JOB_ID:-} array_task_id=${SLURM_ARRAY_TASK_ID:-}
  ask_name
  mkdir -p "$folder"
  {
    field JOB_ID "$SLURM_JOB_ID"
    field RESTARTS "$restarts"
    field SLUID "${SLURM_JOB_SLUID:-}"
    field ARRAY_JOB_ID "$array_job_id"
    field ARRAY_TASK_ID "$array_task_id"
    field CLUSTER "${SLURM_CLUSTER_NAME:-}"
    field USER "${SLURM_JOB_USER:-}"
    field UID "${SLURM_JOB_UID:-}"
    field ACCOUNT "${SLURM_JOB_ACCOUNT:-}"
    field PARTITION "${SLURM_JOB_PARTITION:-}"
    field JOB_NAME "$job_name"
    field MODEL "$(model_in_comment)"
    field GPUS "$(gpus)"
    field BOOT_ID "$(cat /proc/sys/kernel/random/boot_id)"
    field START_SECONDS "$(date +%s)"
  } | replace "$folder/$SLURM_JOB_ID-r$restarts" 644
}

ask_how_it_ended() { # for the end of a job that others end, Slurm gives its epilog the exit code of success
  while read -r id code reason; do
    [ "$id" = "$SLURM_JOB_ID" ] || continue
    case $reason/$code in
      TimeLimit/*) state=timeout ;;
      */0 | */0:0) state=completed exit_code=0 ;;
      *) state=cancelled ;; # Slurm 22.05 says 15, 26.05 says 0:15
    esac
    return 0
  done <<END
$(answer '--Format=JobID:20,exit_code:20,Reason:40')
END
}

how_it_ended() { # how_it_ended RUN: sets state and exit_code
  state=ended exit_code=
  code=${SLURM_JOB_EXIT_CODE2:-0:0} # exit code:signal
  signal=${code##*:} code=${code%%:*}
  is_number "$code" && is_number "$signal" || return 0
  if [ "$signal" -gt 64 ]; then
    state=failed # not a signal: Slurm's word for out of memory is 125
  elif [ "$signal" -gt 0 ]; then
    state=failed exit_code=$((128 + signal))
  elif [ "$code" -gt 0 ]; then
    state=failed exit_code=$code
  elif [ "$restarts" -gt "$1" ]; then
    state=cancelled # put back into the queue
  else
    ask_how_it_ended
  fi
}

finish() {
  run=$restarts # the count goes up when a job is put back into the queue, before this run's epilog
  until [ -f "$folder/$SLURM_JOB_ID-r$run" ]; do
    run=$((run - 1))
    [ "$run" -ge 0 ] || return 0
  done
  record=$folder/$SLURM_JOB_ID-r$run
  if [ "$(stat -c %a "$record")" = 444 ]; then return 0; fi
  end_seconds=$(date +%s)
  how_it_ended "$run"
  {
    cat "$record"
    field END_SECONDS "$end_seconds"
    field STATE "$state"
    field EXIT_CODE "$exit_code"
  } | replace "$record" 444
}

expire() { # closed records can be told by their mode: nobody has to read them all
  oldest=$(($(date +%s) - keep_seconds))
  kept=0
  stat -c '%a %Y %n' "$folder"/*-r* | sort -k 2,2nr | while read -r mode closed record; do
    [ "$mode" = 444 ] || continue
    kept=$((kept + 1))
    if [ "$closed" -lt "$oldest" ] || [ "$kept" -gt "$keep_files" ]; then rm -f "$record"; fi
  done
}

(
  set -eu
  is_number "${SLURM_JOB_ID:-}"
  restarts=${SLURM_JOB_RESTART_COUNT:-${SLURM_RESTART_COUNT:-0}}
  is_number "$restarts"
  settings
  temporary=$folder/.$SLURM_JOB_ID.$$
  trap 'rm -f "$temporary"' EXIT
  case ${SLURM_SCRIPT_CONTEXT:-} in
    prolog_slurmd) begin ;;
    epilog_slurmd)
      finish
      expire
      ;;
  esac
) </dev/null >/dev/null 2>&1
exit 0
