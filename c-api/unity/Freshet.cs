// Freshet for Unity and other programs in C#: what freshet.h says, by P/Invoke. Put this file into the project, and the library
// (freshet.dll, libfreshet.so) into Assets/Plugins.
//
//     using var job = new Freshet.Job(new Freshet.Options {
//         Url = "https://cdn.example.com/game/demo/channels/live", Key = "ed25519:...", Folder = path,
//     });
//     job.Happened += happened => { ... };    // on a thread of the job: hand on to the main thread what touches Unity
//     job.Start();

using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Freshet
{
    public enum Result
    {
        Ok = 0,
        Failed = 1,
        Usage = 2,
        Origin = 10,
        Forged = 11,
        Outdated = 12,
        DiskFull = 13,
        NotWritable = 14,
        PortInUse = 15,
        NotWhole = 20,
        Internal = 30,
        Timeout = 31,
        Stopped = 130,
    }

    public enum Mode
    {
        Get = 0,
        Follow = 1,
        Repair = 2,
    }

    public enum Goal
    {
        Speed = 0,
        Offload = 1,
    }

    public enum Kind
    {
        Listening = 1,
        Release = 2,
        Progress = 3,
        Installed = 4,
        NewVersion = 5,
        Paused = 6,
        Resumed = 7,
        Note = 8,
        Ended = 9,
        NewPreload = 10,
        Preload = 11,
        Preloaded = 12,
    }

    public enum Pause
    {
        None = 0,
        Asked = 1,
        Playing = 2,
        Hours = 3,
    }

    /// <summary>What failed, and why.</summary>
    public sealed class FreshetException : Exception
    {
        public FreshetException(Result result, string message) : base(message)
        {
            Result = result;
        }

        public Result Result { get; }
    }

    /// <summary>What a job is to do.</summary>
    public sealed class Options
    {
        public Mode Mode = Mode.Get;
        public Goal Goal = Goal.Speed;
        public string Url;
        public string Folder;
        public string Key;
        public string Parts;
        public string Trackers;
        /// <summary>Base URLs where the same content can be had, each ending in a slash, with spaces between them.</summary>
        public string Mirrors;
        public string StateFolder;
        public string Listen;
        public string Hours;

        /// <summary>Bytes a second, at least 64000; 0: no bound.</summary>
        public ulong DownloadRate;

        public ulong UploadRate;
        public ulong UploadBytes;

        /// <summary>How long to share after the install, in milliseconds; ulong.MaxValue: until stopped.</summary>
        public ulong SeedMs;

        /// <summary>What is null is as the library has it.</summary>
        public ulong? LookEveryMs;
        
        public ulong? GiveUpAfterMs;
        public bool? P2P;

        /// <summary>Whether something is handed to peers: ask the player first.</summary>
        public bool Sharing;

        public bool Verify;
        public bool? WebTransport;
        public bool? WebRtc;
    }

    /// <summary>What happened, and how far the job is.</summary>
    public struct Happened
    {
        public Kind Kind;
        public Result Result;
        public Pause Pause;
        public ulong DoneBytes;
        public ulong TotalBytes;
        public ulong FetchBytes;
        public ulong PeerBytes;
        public ulong OriginBytes;
        public ulong LocalBytes;
        public ulong SentBytes;
        public uint Links;
        public string Text;
        public string Json;
    }

    /// <summary>A job. Dispose ends it; never do that in <see cref="Happened"/>.</summary>
    public sealed class Job : IDisposable
    {
        private readonly Options options;
        private GCHandle own;
        private IntPtr job;

        public Job(Options options)
        {
            this.options = options;
        }

        /// <summary>Comes on a thread of the job, one after the other. What it throws ends with it.</summary>
        public event Action<Happened> Happened;

        public void Start()
        {
            if (job != IntPtr.Zero)
            {
                throw new InvalidOperationException("the job is started");
            }
            own = GCHandle.Alloc(this);
            try
            {
                using (var filled = new Filled(options, GCHandle.ToIntPtr(own)))
                {
                    Native.Check(Native.freshet_start(ref filled.Values, out job));
                }
            }
            catch
            {
                own.Free();
                throw;
            }
        }

        /// <summary>Waits until it is over; false where the time is over before. Throws where it did not go well.</summary>
        public bool Wait(uint milliseconds = uint.MaxValue)
        {
            int result = Native.freshet_wait(job, milliseconds);
            if (result == (int)Result.Timeout)
            {
                return false;
            }
            Native.Check(result);
            return true;
        }

        public void Stop() => Native.Check(Native.freshet_stop(job));

        public void SetPaused(bool isPaused) => Native.Check(Native.freshet_set_paused(job, isPaused));

        public void SetPlaying(bool isPlaying) => Native.Check(Native.freshet_set_playing(job, isPlaying));

        public void SetSharing(bool isSharing) => Native.Check(Native.freshet_set_sharing(job, isSharing));

        public void SetWhilePlaying(ulong rate) => Native.Check(Native.freshet_set_while_playing(job, rate));

        public void SetDownloadRate(ulong rate) => Native.Check(Native.freshet_set_download_rate(job, rate));

        public void SetUploadRate(ulong rate) => Native.Check(Native.freshet_set_upload_rate(job, rate));

        public void SetHours(string hours)
        {
            using (var text = new Text(hours))
            {
                Native.Check(Native.freshet_set_hours(job, text.Pointer));
            }
        }

        /// <summary>What it did, as JSON, once it is over.</summary>
        public string Report()
        {
            Native.Check(Native.freshet_report(job, out IntPtr json));
            return Native.Take(json);
        }

        public void Dispose()
        {
            if (job != IntPtr.Zero)
            {
                Native.Check(Native.freshet_release(job));
                job = IntPtr.Zero;
                own.Free();
            }
        }

        [Native.MonoPInvokeCallback(typeof(Native.Callback))]
        internal static void Called(IntPtr user, IntPtr pointer)
        {
            try
            {
                var job = (Job)GCHandle.FromIntPtr(user).Target;
                var values = (Native.Event)Marshal.PtrToStructure(pointer, typeof(Native.Event));
                job.Happened?.Invoke(new Happened
                {
                    Kind = (Kind)values.kind,
                    Result = (Result)values.result,
                    Pause = (Pause)values.pause,
                    DoneBytes = values.done_bytes,
                    TotalBytes = values.total_bytes,
                    FetchBytes = values.fetch_bytes,
                    PeerBytes = values.peer_bytes,
                    OriginBytes = values.origin_bytes,
                    LocalBytes = values.local_bytes,
                    SentBytes = values.sent_bytes,
                    Links = values.links,
                    Text = Native.Read(values.text),
                    Json = Native.Read(values.json),
                });
            }
            catch
            {
                // No exception may enter the library.
            }
        }
    }

    /// <summary>Questions about installations, and their end.</summary>
    public static class Installation
    {
        /// <summary>What a job with these options would fetch, write and need, as JSON.</summary>
        public static string Plan(Options options)
        {
            using (var filled = new Filled(options, IntPtr.Zero))
            {
                Native.Check(Native.freshet_plan(ref filled.Values, out IntPtr json));
                return Native.Take(json);
            }
        }

        /// <summary>Whether an installation is what its signed manifest says; <paramref name="found"/> is JSON.</summary>
        public static bool Verify(string folder, bool isFast, out string found)
        {
            using (var text = new Text(folder))
            {
                int result = Native.freshet_verify(text.Pointer, isFast, out IntPtr json);
                string error = Native.LastError();
                found = Native.Take(json);
                if (result != (int)Result.Ok && result != (int)Result.NotWhole)
                {
                    throw new FreshetException((Result)result, error);
                }
                return result == (int)Result.Ok;
            }
        }

        /// <summary>Removes an installation; what stayed, as JSON.</summary>
        public static string Uninstall(string folder, bool isChangedRemoved)
        {
            using (var text = new Text(folder))
            {
                Native.Check(Native.freshet_uninstall(text.Pointer, isChangedRemoved, out IntPtr json));
                return Native.Take(json);
            }
        }

        /// <summary>The library's version.</summary>
        public static string Version() => Native.Read(Native.freshet_version());
    }

    /// <summary>Text as the library takes it.</summary>
    internal sealed class Text : IDisposable
    {
        public Text(string text)
        {
            if (text != null)
            {
                byte[] bytes = Encoding.UTF8.GetBytes(text);
                Pointer = Marshal.AllocHGlobal(bytes.Length + 1);
                Marshal.Copy(bytes, 0, Pointer, bytes.Length);
                Marshal.WriteByte(Pointer, bytes.Length, 0);
            }
        }

        public IntPtr Pointer { get; private set; }

        public void Dispose()
        {
            Marshal.FreeHGlobal(Pointer);
            Pointer = IntPtr.Zero;
        }
    }

    /// <summary>Options as the library takes them.</summary>
    internal sealed class Filled : IDisposable
    {
        // Kept, so that it is not collected while the library knows it.
        private static readonly Native.Callback Called = Job.Called;

        private readonly Text[] texts;
        public Native.Options Values;

        public Filled(Options options, IntPtr user)
        {
            Native.Check(Native.freshet_options_init(out Values, (uint)Marshal.SizeOf(typeof(Native.Options))));
            texts = Array.ConvertAll(
                new[]
                {
                    options.Url, options.Folder, options.Key, options.Parts, options.Trackers, options.StateFolder,
                    options.Listen, options.Hours, options.Mirrors,
                },
                text => new Text(text));
            Values.mode = (int)options.Mode;
            Values.goal = (int)options.Goal;
            Values.url = texts[0].Pointer;
            Values.folder = texts[1].Pointer;
            Values.key = texts[2].Pointer;
            Values.parts = texts[3].Pointer;
            Values.trackers = texts[4].Pointer;
            Values.state_folder = texts[5].Pointer;
            Values.listen = texts[6].Pointer;
            Values.hours = texts[7].Pointer;
            Values.mirrors = texts[8].Pointer;
            Values.download_rate = options.DownloadRate;
            Values.upload_rate = options.UploadRate;
            Values.upload_bytes = options.UploadBytes;
            Values.seed_ms = options.SeedMs;
            Values.look_every_ms = options.LookEveryMs ?? Values.look_every_ms;
            Values.give_up_after_ms = options.GiveUpAfterMs ?? Values.give_up_after_ms;
            Values.p2p = Flag(options.P2P, Values.p2p);
            Values.sharing = Convert.ToByte(options.Sharing);
            Values.verify = Convert.ToByte(options.Verify);
            Values.web_transport = Flag(options.WebTransport, Values.web_transport);
            Values.web_rtc = Flag(options.WebRtc, Values.web_rtc);
            if (user != IntPtr.Zero)
            {
                Values.on_event = Marshal.GetFunctionPointerForDelegate(Called);
                Values.user = user;
            }
        }

        private static byte Flag(bool? wanted, byte usual) => wanted.HasValue ? Convert.ToByte(wanted.Value) : usual;

        public void Dispose()
        {
            foreach (Text text in texts)
            {
                text.Dispose();
            }
        }
    }

    /// <summary>The functions as freshet.h has them.</summary>
    internal static class Native
    {
        private const string Library = "freshet";
        private const CallingConvention C = CallingConvention.Cdecl;

        [UnmanagedFunctionPointer(C)]
        internal delegate void Callback(IntPtr user, IntPtr pointer);

        /// <summary>Unity's ahead-of-time compilers look for an attribute of this name.</summary>
        [AttributeUsage(AttributeTargets.Method)]
        internal sealed class MonoPInvokeCallbackAttribute : Attribute
        {
            public MonoPInvokeCallbackAttribute(Type type)
            {
            }
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct Options
        {
            public uint size;
            public int mode;
            public IntPtr url;
            public IntPtr folder;
            public IntPtr key;
            public IntPtr parts;
            public IntPtr trackers;
            public IntPtr state_folder;
            public IntPtr listen;
            public IntPtr hours;
            public ulong download_rate;
            public ulong upload_rate;
            public ulong upload_bytes;
            public ulong seed_ms;
            public ulong look_every_ms;
            public ulong give_up_after_ms;
            public IntPtr on_event;
            public IntPtr user;
            public int goal;
            public byte p2p;
            public byte sharing;
            public byte verify;
            public byte web_transport;
            public byte web_rtc;
            public IntPtr mirrors;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct Event
        {
            public uint size;
            public int kind;
            public int result;
            public int pause;
            public ulong done_bytes;
            public ulong total_bytes;
            public ulong fetch_bytes;
            public ulong peer_bytes;
            public ulong origin_bytes;
            public ulong local_bytes;
            public ulong sent_bytes;
            public uint links;
            public uint reserved;
            public IntPtr text;
            public IntPtr json;
        }

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr freshet_version();

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr freshet_last_error();

        [DllImport(Library, CallingConvention = C)]
        internal static extern void freshet_free_string(IntPtr text);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_options_init(out Options options, uint size);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_start(ref Options options, out IntPtr job);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_wait(IntPtr job, uint timeout_ms);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_stop(IntPtr job);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_report(IntPtr job, out IntPtr json);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_release(IntPtr job);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_paused(IntPtr job, [MarshalAs(UnmanagedType.I1)] bool is_paused);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_playing(IntPtr job, [MarshalAs(UnmanagedType.I1)] bool is_playing);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_sharing(IntPtr job, [MarshalAs(UnmanagedType.I1)] bool is_sharing);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_while_playing(IntPtr job, ulong bytes_per_second);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_download_rate(IntPtr job, ulong bytes_per_second);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_upload_rate(IntPtr job, ulong bytes_per_second);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_set_hours(IntPtr job, IntPtr hours);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_plan(ref Options options, out IntPtr json);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_verify(
            IntPtr folder, [MarshalAs(UnmanagedType.I1)] bool is_fast, out IntPtr json);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int freshet_uninstall(
            IntPtr folder, [MarshalAs(UnmanagedType.I1)] bool is_changed_removed, out IntPtr json);

        internal static void Check(int result)
        {
            if (result != (int)Result.Ok)
            {
                throw new FreshetException((Result)result, LastError());
            }
        }

        internal static string LastError() => Read(freshet_last_error());

        internal static string Read(IntPtr text)
        {
            if (text == IntPtr.Zero)
            {
                return string.Empty;
            }
            int length = 0;
            while (Marshal.ReadByte(text, length) != 0)
            {
                length++;
            }
            byte[] bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }

        /// <summary>Takes over a text that the library handed out.</summary>
        internal static string Take(IntPtr text)
        {
            string read = Read(text);
            freshet_free_string(text);
            return read;
        }
    }
}
